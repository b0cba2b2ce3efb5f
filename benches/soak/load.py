"""Mixed load at a fixed rate: many who ask over kept connections, some over new ones, some who leave, some over HTTP/2, writers and a purger."""

import asyncio
import collections
import random
import struct
import time

from house import KEYS

HOT, WIDE = 300, 40_000
WORKERS, H2_WORKERS = 40, 4

GET = "GET {} HTTP/1.1\r\nHost: soak\r\n{}\r\n"


class Load:
    """Counts in `tally` what happened, by kind and status."""

    def __init__(self, house, rate, seed):
        self.house, self.rate, self.random = house, rate, random.Random(seed)
        self.tally, self.asked, self.going = collections.Counter(), 0, True

    async def run(self):
        share = self.rate / (WORKERS + H2_WORKERS)
        tasks = [self.worker(share) for _ in range(WORKERS)] + [self.h2_worker(share) for _ in range(H2_WORKERS)]
        await asyncio.gather(*tasks, self.purger())

    async def paced(self, share, act):
        """Calls `act` so often a second, and doesn't make up for what took too long."""
        await asyncio.sleep(self.random.random() / share)
        due = time.monotonic()
        while self.going:
            self.asked += 1
            try:
                await asyncio.wait_for(act(), 20)
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError) as error:
                self.tally["broken", type(error).__name__] += 1
                self.broken = True
            due = max(due + 1 / share, time.monotonic() - 1)
            await asyncio.sleep(max(0, due - time.monotonic()))

    def book(self):
        wide = self.random.random() < 0.3
        return self.random.randrange(WIDE) if wide else int(HOT * self.random.random() ** 2)

    # Over HTTP/1.1.

    async def worker(self, share):
        connection = None

        async def act():
            nonlocal connection
            if connection is None or self.random.random() < 0.01:
                close(connection)
                connection = await asyncio.open_connection("127.0.0.1", self.house.port)
            kept, connection = connection, None
            connection = await self.one(kept)

        await self.paced(share, act)
        close(connection)

    async def one(self, connection):
        """One request; gives the connection if it is still good."""
        kind = self.random.choices(["read", "live", "slow", "keyed", "wrong key", "write", "leave", "part", "new"],
                                   [60, 6, 2, 10, 2, 10, 4, 3, 3])[0]
        target, fields, method, content = f"/open/books/{self.book()}", "", "GET", b""
        if kind in ("live", "slow"):
            target = f"/open/{kind}/{self.random.randrange(1000)}"
        elif kind == "keyed":
            target, fields = f"/keyed/books/{self.book()}", f"X-Api-Key: {self.random.choice(list(KEYS.values()))}\r\n"
        elif kind == "wrong key":
            target, fields = f"/keyed/books/{self.book()}", f"X-Api-Key: wrong-{self.random.randrange(1 << 30)}\r\n"
        elif kind == "part":
            fields = "Range: bytes=10-99\r\n"
        elif kind == "write":
            method, content = self.random.choice(["PUT", "POST", "DELETE"]), b"x" * self.random.randrange(1, 2000)
            fields = f"Content-Length: {len(content)}\r\n"
        if method == "GET" and self.random.random() < 0.5:
            fields += "Accept-Encoding: " + self.random.choice(["gzip", "br", "zstd, gzip;q=0.5"]) + "\r\n"
        if kind == "new":
            kept, connection = connection, await asyncio.open_connection("127.0.0.1", self.house.port)
        reader, writer = connection
        writer.write(GET.replace("GET", method, 1).format(target, fields).encode() + content)
        await writer.drain()
        if kind == "leave":
            writer.transport.abort()
            self.tally[kind, "gone"] += 1
            return None
        status, stays = await answer(reader)
        self.tally[method if kind == "write" else kind, status] += 1
        if kind == "new":
            close(connection)
            return kept
        if not stays:
            close(connection)
        return connection if stays else None

    # By the admin port.

    async def purger(self):
        async def act():
            number = self.random.randrange(HOT)
            selector = self.random.choice([{"path": f"/open/books/{number}"}, {"tag": f"shelf-{number % 50}"}, {"tag": f"book-{number}", "soft": True},
                                           {"prefix": "/keyed/books"}, {"api": "keyed/v1", "soft": True}])
            await asyncio.to_thread(self.house.purge, selector)
            self.tally["purge", 200] += 1

        await self.paced(2, act)

    # Over HTTP/2, by frames: literals that are never indexed, streams one after the other, and now and then one that is reset.

    async def h2_worker(self, share):
        connection, stream = None, 1

        async def act():
            nonlocal connection, stream
            if connection is None or stream > 2000:
                close(connection)
                connection, stream = await asyncio.open_connection("127.0.0.1", self.house.port), 1
                connection[1].write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0))
            kept, connection, stream = connection, None, stream + 2
            reset = self.random.random() < 0.05
            fields = {":method": "GET", ":scheme": "http", ":authority": "soak", ":path": f"/open/books/{self.book()}"}
            kept[1].write(frame(1, 5, stream, b"".join(b"\0" + text(name) + text(value) for name, value in fields.items())))
            if reset:
                kept[1].write(frame(3, 0, stream, struct.pack(">I", 8)))
                self.tally["h2", "reset"] += 1
            else:
                await kept[1].drain()
                status = await h2_answer(kept, stream)
                self.tally["h2", status] += 1
                if status == "goaway":
                    return close(kept)
            connection = kept

        await self.paced(share, act)
        close(connection)


def close(connection):
    if connection:
        connection[1].close()


async def answer(reader):
    """Status of an answer that is read to its end, and whether the connection stays."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, low = int(head.split(" ", 2)[1]), head.lower()
    if status in (204, 304):
        return status, "connection: close" not in low
    if "transfer-encoding: chunked" in low:
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n")
    elif "content-length:" in low:
        await reader.readexactly(int(low.split("content-length:")[1].split("\r\n")[0]))
    else:
        await reader.read()
        return status, False
    return status, "connection: close" not in low


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def text(value):
    """A string literal of less than 127 bytes (RFC 7541 §5.2)."""
    return bytes([len(value)]) + value.encode()


async def h2_answer(connection, stream):
    """What becomes of a stream: ok, other, reset, or goaway. Answers settings and pings, and gives back what the windows lose."""
    reader, writer = connection
    told = "other"
    while True:
        head = await reader.readexactly(9)
        length, kind, flags, of = int.from_bytes(head[:3], "big"), head[3], head[4], int.from_bytes(head[5:], "big")
        payload = await reader.readexactly(length)
        if kind == 4 and not flags & 1:
            writer.write(frame(4, 1, 0))
        elif kind == 6 and not flags & 1:
            writer.write(frame(6, 1, 0, payload))
        elif kind == 7:
            return "goaway"
        elif kind == 0 and length:
            writer.write(frame(8, 0, 0, struct.pack(">I", length)))
            if of == stream:
                writer.write(frame(8, 0, stream, struct.pack(">I", length)))
        elif kind == 1 and of == stream and payload[:1] == b"\x88":
            told = "ok"
        if of == stream and kind == 3:
            return "reset by it"
        if of == stream and kind in (0, 1) and flags & 1:
            return told
