"""The systems side by side: how each is configured, started on one core, measured from outside, and ended.

All of them show the same two trees: /pass/ goes to the origin each time, everything else is kept for a day, as the origin
allows. The origin's one answer has 1024 bytes.
"""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
BODY = '{"items":"' + "x" * 1010 + '!!"}'
END_OF_BODY = b'!!"}'
assert len(BODY) == 1024

# What nginx needs to run from a directory of its own, in the foreground, whoever starts it.
NGINX_HEAD = """
{user}
worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
    uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
    access_log {access_log};
    keepalive_requests 1000000000;
"""

ORIGIN = NGINX_HEAD + """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /_status {{ stub_status; }}
        location / {{
            default_type application/json;
            add_header Cache-Control "public, max-age=86400";
            add_header ETag '"v1"';
            return 200 '{body}';
        }}
    }}
}}
"""

NGINX = NGINX_HEAD + """
    sendfile on;
    open_file_cache max=10000 inactive=600s;
    proxy_cache_path {dir}/cache levels=1:2 keys_zone=c:128m max_size=4g inactive=24h use_temp_path=off;
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 128; keepalive_requests 1000000000; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ proxy_pass http://origin; proxy_cache c; }}
        location /pass/ {{ proxy_pass http://origin; }}
    }}
}}
"""

HAPROXY = """
global
    nbthread 1
    stats socket {dir}/s mode 600 level admin
    maxconn 4096
cache c
    total-max-size {cache_mb}
    max-object-size 8192
    max-age 86400
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend f
    bind 127.0.0.1:{port}
    default_backend b
backend b
    acl pass path_beg /pass/
    http-request cache-use c unless pass
    http-response cache-store c
    server origin 127.0.0.1:{origin}
"""

VARNISH = """
vcl 4.1;
backend origin {{ .host = "127.0.0.1"; .port = "{origin}"; }}
sub vcl_recv {{ if (req.url ~ "^/pass/") {{ return (pass); }} }}
"""

FRESHGATE = """
[server]
listen = ["127.0.0.1:{port}"]
limits.keys_per_caller = 10_000_000   # one client asks for all
[cache]
max_size = "{cache_mb}MiB"
[log]
access = {access}
[[api]]
name = "cached"
version = "v1"
path = "/"
upstream = ["http://127.0.0.1:{origin}"]
ttl = "10m"
[[api]]
name = "passed"
version = "v1"
path = "/pass"
upstream = ["http://127.0.0.1:{origin}"]
[[api.route]]
on = "GET /**"
cache = false
"""


class System:
    """A running server, and every process it has started."""

    def __init__(self, name, core, directory, port, command, settings=None, body_in_memory=True):
        self.name, self.directory, self.port, self.body_in_memory = name, directory, port, body_in_memory
        self.output = open(directory / "output", "wb")
        for file, text in (settings or {}).items():
            (directory / file).write_text(text)
        pinned = ["taskset", "-c", str(core), *map(str, command)]
        self.process = subprocess.Popen(pinned, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)
        self._wait_for_port()

    def _wait_for_port(self):
        for _ in range(200):
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        logs = [(self.directory / name) for name in ("output", "error.log")]
        logs = [log.read_text(errors="replace")[-2000:] for log in logs if log.exists()]
        raise SystemExit(f"{self.name} did not start:\n" + "\n".join(logs))

    def pids(self):
        """The process and its descendants."""
        children = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(stat.parent.name))
        tree = [self.process.pid]
        for pid in tree:
            tree += children.get(pid, [])
        return tree

    def cpu_us(self):
        """Microseconds of processor, user and system, since the start."""
        return sum(sum(map(int, fields[11:13])) for fields in map(_stat, self.pids())) * 1e6 / TICKS

    def rss(self):
        """Resident bytes."""
        return sum(int(fields[21]) for fields in map(_stat, self.pids())) * os.sysconf("SC_PAGE_SIZE")

    def stored(self):
        """Bytes of memory taken by stored answers; only differences mean something."""
        return self.rss()

    def stop(self):
        tree = self.pids()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                for pid in tree[1:]:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
        self.output.close()


class HAProxy(System):
    """HAProxy touches its whole cache when it starts, so what it stores shows only in its own list of 1 KiB blocks."""

    def __init__(self, *args, cache_mb, **kwargs):
        super().__init__(*args, **kwargs)
        self.bytes_per_block = self.rss() / (cache_mb * 1024)

    def stored(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(str(self.directory / "s"))
            s.sendall(b"show cache\n")
            entries = re.findall(r"\((\d+) blocks\)", s.makefile().read())
        return sum(map(int, entries)) * self.bytes_per_block


def _stat(pid):
    """Fields of /proc/PID/stat after the command's name, so that the third of proc(5) is number 0."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["0"] * 50


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Starter:
    """Starts systems below one temporary directory, the origin first."""

    def __init__(self, root, proxy_core, load_core, cache_mb):
        self.root, self.proxy_core, self.load_core, self.cache_mb = pathlib.Path(root), proxy_core, load_core, cache_mb
        self.running = []
        self.count = 0

    def _place(self, name):
        self.count += 1
        directory = self.root / f"{self.count}-{name.replace('+', '-')}"
        directory.mkdir()
        return directory, free_port()

    def _keep(self, system):
        self.running.append(system)
        return system

    def _nginx(self, name, core, template, access=False, **more):
        directory, port = self._place(name)
        text = template.format(
            dir=directory, port=port, body=BODY, access_log=directory / "access.log" if access else "off",
            user="user root;" if os.geteuid() == 0 else "", **more)
        command = ["nginx", "-p", directory, "-e", directory / "error.log", "-c", directory / "nginx.conf"]
        return self._keep(System(name, core, directory, port, command, {"nginx.conf": text}, body_in_memory=False))

    def origin(self):
        self.origin_port = self._nginx("origin", self.load_core, ORIGIN).port
        return self.running[-1]

    def nginx(self, access=False):
        name = "nginx+log" if access else "nginx"
        return self._nginx(name, self.proxy_core, NGINX, access, origin=self.origin_port)

    def haproxy(self):
        directory, port = self._place("haproxy")
        text = HAPROXY.format(dir=directory, port=port, origin=self.origin_port, cache_mb=self.cache_mb)
        command = ["haproxy", "-db", "-q", "-f", directory / "haproxy.cfg"]
        settings = {"haproxy.cfg": text}
        haproxy = HAProxy("haproxy", self.proxy_core, directory, port, command, settings, cache_mb=self.cache_mb)
        return self._keep(haproxy)

    def varnish(self):
        directory, port = self._place("varnish")
        command = ["varnishd", "-F", "-j", "none", "-n", directory / "work", "-a", f"127.0.0.1:{port}",
                   "-f", directory / "default.vcl", "-s", f"malloc,{self.cache_mb}M", "-p", "thread_pools=1"]
        vcl = VARNISH.format(origin=self.origin_port)
        return self._keep(System("varnish", self.proxy_core, directory, port, command, {"default.vcl": vcl}))

    def freshgate(self, binary, access=False):
        name = "freshgate+log" if access else "freshgate"
        directory, port = self._place(name)
        text = FRESHGATE.format(port=port, origin=self.origin_port, cache_mb=self.cache_mb, access=str(access).lower())
        command = [binary, "run", "--config", directory / "freshgate.toml"]
        return self._keep(System(name, self.proxy_core, directory, port, command, {"freshgate.toml": text}))

    def stop(self):
        for system in reversed(self.running):
            system.stop()
        self.running.clear()
