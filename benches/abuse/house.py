"""The house under attack: an origin, a gateway, and those who send ordinary requests. Everything started here is ended here, by its id."""

import pathlib
import re
import resource
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent

# All comes from one machine: one address must be allowed what many would have. `write_stall` is shorter than by default,
# so that a run ends sooner.
RAISED = "connections_per_address = 10_000\nwrite_stall = \"10s\"\n"


# What stands for others on other machines.
BEHIND = ["nice", "-n", "19"]


def all_descriptors():
    """As many open files as the system lets us have; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536) if hard > 0 else 65536, hard))


def ended(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class House:
    """`with House(program, folder, limits) as house:`"""

    def __init__(self, program, folder, limits):
        # What attacks lead to is another origin's: it isn't theirs to slow down. Like the attackers it is somewhere else in truth, and
        # gets what processor time the gateway leaves.
        self.origin, self.attacked = self._origin([]), self._origin(BEHIND)
        ordinary, attacked = (int(origin.stdout.readline()) for origin in (self.origin, self.attacked))
        self.attacked_port = attacked
        config = folder / "abuse.toml"
        config.write_text(
            f'[server]\nlisten = ["127.0.0.1:0"]\n[server.limits]\n{limits}\n[log]\naccess = false\nlevel = "info"\n'
            f'[admin]\nlisten = "127.0.0.1:0"\nprobe_listen = "127.0.0.1:0"\n'
            f'[[api]]\nname = "a"\nversion = "v1"\nhost = "a.example"\npath = "/"\nupstream = ["http://127.0.0.1:{ordinary}"]\n'
            f'[[api]]\nname = "attacked"\nversion = "v1"\npath = "/"\nupstream = ["http://127.0.0.1:{attacked}"]\n')
        self.log = folder / "gateway.log"
        with self.log.open("w") as log:
            self.gateway = subprocess.Popen([program, "run", "--config", config], stdout=log, stderr=subprocess.STDOUT)
        self.port, self.probe_port = self._ready()

    def _origin(self, before):
        return subprocess.Popen([*before, sys.executable, "-B", HERE / "origin.py"], stdout=subprocess.PIPE, text=True)

    def _ready(self):
        until = time.monotonic() + 10
        while time.monotonic() < until and self.gateway.poll() is None:
            log = self.log.read_text()
            ports = [re.search(rf'"{name}":"127\.0\.0\.1:(\d+)', log) for name in ("data", "probe")]
            if all(ports):
                return [int(port[1]) for port in ports]
            time.sleep(0.05)
        self.__exit__()
        raise SystemExit(f"the gateway didn't start: {self.log.read_text()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (self.gateway, self.origin, self.attacked):
            ended(process)

    def memory(self):
        """MiB of the gateway that are resident."""
        status = pathlib.Path(f"/proc/{self.gateway.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def connections(self):
        """Those of clients, as the gateway counts them."""
        with socket.create_connection(("127.0.0.1", self.probe_port), 10) as s:
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")
            return int(re.search(rb"\nfreshgate_connections (\d+)", read_answer(s)[1])[1])

    def origin_requests(self):
        """Of attackers."""
        with socket.create_connection(("127.0.0.1", self.attacked_port), 10) as s:
            s.sendall(b"GET /_count HTTP/1.1\r\nHost: o\r\n\r\n")
            return int(read_answer(s)[1])


def read_answer(s):
    """Status and body of one answer with a Content-Length."""
    text = b""
    while b"\r\n\r\n" not in text:
        more = s.recv(1 << 16)
        if not more:
            raise ConnectionError("ended before a head")
        text += more
    head, body = text.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
    while len(body) < length:
        more = s.recv(1 << 16)
        if not more:
            raise ConnectionError("ended in a body")
        body += more
    return int(head.split(b" ")[1]), body


class Ordinary:
    """One who sends ordinary requests from 127.0.0.2, one after the other: hits and misses, most on a connection that stays, each tenth
    on a new one."""

    def __init__(self, house):
        self.house, self.kept, self.asked, self.failed = house, None, 0, 0
        self.name = b"%d" % time.monotonic_ns()

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.house.port), 10, source_address=("127.0.0.2", 0))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def ask(self):
        """Seconds that one request took; 10 for one that failed."""
        self.asked += 1
        target = b"/ordinary" if self.asked % 2 else b"/new/%s/%d" % (self.name, self.asked)
        new, begin = self.asked % 10 == 0, time.perf_counter()
        try:
            s = self.connect() if new or self.kept is None else self.kept
            s.sendall(b"GET %s HTTP/1.1\r\nHost: a.example\r\n\r\n" % target)
            status, _ = read_answer(s)
            if status != 200:
                raise ConnectionError(status)
            if new:
                s.close()
            else:
                self.kept = s
            return time.perf_counter() - begin
        except OSError:
            self.failed, self.kept = self.failed + 1, None
            return 10.0

    def during(self, goes_on, look=lambda: None):
        """Milliseconds of requests while `goes_on()`, sorted; `look` is called now and then. Where it says `False` what was measured before it
        doesn't count."""
        took, looked = [], 0.0
        while goes_on():
            took.append(self.ask() * 1e3)
            if time.monotonic() - looked > 0.5:
                looked = time.monotonic()
                if look() is False:
                    took = []
            time.sleep(0.002)
        return sorted(took)


def percentile(sorted_values, part):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * part))] if sorted_values else float("nan")


def for_seconds(seconds):
    until = time.monotonic() + seconds
    return lambda: time.monotonic() < until
