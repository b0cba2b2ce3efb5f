"""The memory of objects, and the CPU of a hit: `objects.py FRESHGATE OBJECTS`.

Puts so many objects of 200 bytes into one namespace, over a few connections, and reads the process's memory before and after. Then takes
hits in turns, of an object and of a stored response of 1 KiB each, and compares the CPU time that the gateway spends on both. Everything is on
loopback, bounded, and ends by itself.
"""

import http.server
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading

SIZE = 200
BATCH = 100
HITS = 20_000
ROUNDS = 9

CONFIG = """
[server]
listen = ["127.0.0.1:0"]
[log]
access = false
[admin]
listen = "127.0.0.1:0"
[objects]
listen = "127.0.0.1:0"
[[objects.namespace]]
name = "small"
ttl = "1d"
max_size = "16GiB"
[[objects.namespace]]
name = "one"
ttl = "1d"
[[api]]
name = "one"
version = "v1"
path = "/"
upstream = ["http://127.0.0.1:{origin}"]
ttl = "1d"
"""


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", "1024")
        self.end_headers()
        self.wfile.write(b"x" * 1024)

    def log_message(self, *_):
        pass


def rss(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) * 1024


def cpu(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answers(sock, buffer, count):
    """Reads `count` answers; their statuses, and what was read beyond them."""
    statuses = []
    while len(statuses) < count:
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            piece = sock.recv(1 << 18)
            assert piece, "the gateway has closed"
            buffer += piece
            continue
        head = buffer[:end].lower()
        length = re.search(rb"content-length: (\d+)", head)
        size = int(length.group(1)) if length else 0
        while len(buffer) < end + 4 + size:
            buffer += sock.recv(1 << 18)
        buffer = buffer[end + 4 + size :]
        statuses.append(int(head[9:12]))
    return statuses, buffer


def put(port, numbers):
    with socket.create_connection(("127.0.0.1", port)) as sock:
        rest = b""
        for first in range(0, len(numbers), BATCH):
            batch = numbers[first : first + BATCH]
            text = "".join(
                f"PUT /small/{n:08} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"Content-Length: {SIZE}\r\n\r\n{str(n).ljust(SIZE, '.')}"
                for n in batch
            )
            sock.sendall(text.encode())
            statuses, rest = answers(sock, rest, len(batch))
            assert set(statuses) == {201}, set(statuses)


def hits(port, path, count):
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request, rest = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), b""
        for _ in range(count):
            sock.sendall(request)
            statuses, rest = answers(sock, rest, 1)
            assert statuses == [200]


def main(program, objects):
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "freshgate.toml")
        with open(config, "w") as file:
            file.write(CONFIG.format(origin=origin.server_port))
        gateway = subprocess.Popen([program, "run", "--config", config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            for line in gateway.stdout:
                if '"ready"' in line:
                    break
            data = int(re.search(r'"data":"?\[?"?127\.0\.0\.1:(\d+)', line).group(1))
            port = int(re.search(r'"objects":"127\.0\.0\.1:(\d+)', line).group(1))
            measure(gateway.pid, data, port, objects)
        finally:
            gateway.terminate()
            gateway.wait()


def measure(pid, data, port, objects):
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"PUT /one/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024)
        answers(sock, b"", 1)
    hits(data, "/a", 1000)
    hits(port, "/one/a", 1000)
    ratios = []
    for _ in range(ROUNDS):
        spent = []
        for where, path in ((data, "/a"), (port, "/one/a")):
            before = cpu(pid)
            hits(where, path, HITS)
            spent.append(cpu(pid) - before)
        ratios.append(spent[1] / spent[0])
    print(f"CPU of an object's hit / of a response's: {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f}, {ROUNDS} rounds of {HITS})")
    before = rss(pid)
    threads = [threading.Thread(target=put, args=(port, range(n, objects, 4))) for n in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    after = rss(pid)
    print(f"{objects:,} objects of {SIZE} bytes: {(after - before) / (1 << 20):.0f} MiB, {(after - before) / objects:.0f} bytes each")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
