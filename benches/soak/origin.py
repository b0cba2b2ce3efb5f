"""An origin of the soak. Prints its port, then serves until it is killed.

    origin.py PORT [--flapping]

/…/books/N has the same content at every endpoint, of 256 bytes to 32 KiB by its number, fresh for 5 to 300 seconds, with an entity tag.
/…/live/… isn't kept. /…/slow/… comes after 300 ms. Writes are taken and forgotten. /healthz is well.

One that flaps is well for ten seconds, then for two seconds each: answers 502, resets connections, is slow, breaks off its contents."""

import asyncio
import socket
import struct
import sys
import time

PORT, FLAPS = int(sys.argv[1]), "--flapping" in sys.argv
MODES = ["well"] * 5 + ["502", "reset", "slow", "broken"]
CONTENT = bytes(range(33, 127)) * 400


def mode(path):
    return MODES[int(time.monotonic() / 2) % len(MODES)] if FLAPS and path != "/healthz" else "well"


def reset(writer):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def body_of(reader, fields):
    length, chunked = int(fields.get("content-length", 0)), "chunked" in fields.get("transfer-encoding", "")
    if length:
        await reader.readexactly(length)
    while chunked:
        size = int(await reader.readuntil(b"\r\n"), 16)
        await reader.readexactly(size + 2)
        chunked = size > 0


def answer(method, path, fields):
    """Status line's rest, fields and content."""
    if path == "/healthz":
        return "200 OK", {"Cache-Control": "no-store"}, b"well"
    if method not in ("GET", "HEAD"):
        return ("204 No Content", {}, b"") if method == "DELETE" else ("200 OK", {"Cache-Control": "no-store"}, b"taken")
    name = path.split("?")[0].rsplit("/", 1)[1]
    number = int(name) if name.isdecimal() else 0
    if "/books/" not in path:
        return "200 OK", {"Cache-Control": "no-store", "Content-Type": "text/plain"}, CONTENT[:1024]
    told = {"Cache-Control": f"max-age={5 + number * 37 % 296}", "ETag": f'"{number}"', "Content-Type": "text/plain",
            "Surrogate-Key": f"book-{number} shelf-{number % 50}"}
    if fields.get("if-none-match") == told["ETag"]:
        return "304 Not Modified", told, b""
    return "200 OK", told, CONTENT[:256 << number % 8]


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
            await body_of(reader, fields)
            how = mode(path)
            if how == "reset":
                return reset(writer)
            if how == "slow" or "/slow/" in path:
                await asyncio.sleep(0.3)
            status, told, content = answer(method, path, fields) if how != "502" else ("502 Bad Gateway", {}, b"flapping")
            if not status.startswith(("204", "304")):
                told["Content-Length"] = len(content)
            told["Date"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
            lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
            content = b"" if method == "HEAD" else content
            if how == "broken" and len(content) > 1:
                writer.write(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + content[:len(content) // 2])
                await writer.drain()
                return
            writer.write(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + content)
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", PORT, limit=1 << 17, backlog=1024, reuse_address=True)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
