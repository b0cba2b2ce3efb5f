"""The house of the soak: two origins, of which one flaps and is killed now and then, and the gateway with everything on. Everything started
here is ended here, by its id."""

import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TOKEN, KEYS = "soak-admin", {"alice": "alice-of-the-soak", "bob": "bob-of-the-soak"}

API = """
[[api]]
name = "{name}"
version = "v1"
path = "/{name}"
upstream = ["http://127.0.0.1:{a}", "http://127.0.0.1:{b}"]
ttl = "30s"
grace = "20s"
keep_on_error = "10m"
write_settle = "100ms"
{more}
[api.timeouts]
connect = "1s"
first_byte = "5s"
[api.retry]
times = 1
try_timeout = "2s"
[api.pool]
idle_timeout = "5s"
lifetime = "60s"
[api.health]
path = "/healthz"
interval = "1s"
rest = "2s"
max_rest = "5s"
slow_start = "2s"
[api.breaker]
requests = 200
window = "5s"
open = "1s"
{auth}
"""

# What this build may not know yet: each line is used if `freshgate check` takes it.
LATER = ['compress = {}', 'stale_after = "200ms"', "refresh_ahead = 0.9"]


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


class House:
    """`with House(program, folder) as house:`"""

    def __init__(self, program, folder, cache):
        self.program, self.folder, self.cache, self.gateway = program, folder, cache, None
        self.origins = [self._origin(0, []), self._origin(0, ["--flapping"])]
        self.ports = [int(origin.stdout.readline()) for origin in self.origins]
        self.config, self.log = folder / "soak.toml", folder / "gateway.log"
        try:
            self.on = self._configure()
            with self.log.open("w") as log:
                self.gateway = subprocess.Popen([program, "run", "--config", self.config], stdout=log, stderr=subprocess.STDOUT)
            self.port, self.admin_port, self.probe_port = self._ready()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (self.gateway, *self.origins):
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _origin(self, port, options):
        return subprocess.Popen([sys.executable, "-B", HERE / "origin.py", str(port), *options], stdout=subprocess.PIPE, text=True)

    def _text(self, lines):
        auth = '[api.auth]\nkind = "api-key"\nheader = "x-api-key"\nkeys = [{}]\n'.format(
            ", ".join(f'{{ user = "{user}", sha256 = "{sha256(key)}" }}' for user, key in KEYS.items()))
        apis = [("open", ""), ("keyed", auth)]
        return (
            '[server]\nlisten = ["127.0.0.1:0"]\n[server.limits]\nidle_timeout = "10s"\n'
            f'[cache]\nmax_size = "{self.cache}MiB"\n[log]\nsample = 0.01\n'
            '[admin]\nlisten = "127.0.0.1:0"\nprobe_listen = "127.0.0.1:0"\n'
            f'[[admin.tokens]]\nname = "soak"\nrole = "administrator"\nsha256 = "{sha256(TOKEN)}"\n'
            + "".join(API.format(name=name, a=self.ports[0], b=self.ports[1], more="\n".join(lines), auth=auth) for name, auth in apis))

    def _configure(self):
        """Writes the file with as much as the program knows; gives what that is."""
        on = []
        for line in [None, *LATER]:
            tried = on if line is None else [*on, line]
            self.config.write_text(self._text(tried))
            checked = subprocess.run([self.program, "check", self.config], capture_output=True, text=True)
            if checked.returncode == 0:
                on = tried
            elif line is None:
                raise SystemExit(f"the soak's own configuration is refused:\n{checked.stdout}{checked.stderr}")
        self.config.write_text(self._text(on))
        return on

    def _ready(self):
        until = time.monotonic() + 20
        while time.monotonic() < until and self.gateway.poll() is None:
            log = self.log.read_text()
            ports = [re.search(rf'"{name}":"127\.0\.0\.1:(\d+)', log) for name in ("data", "admin", "probe")]
            if all(ports):
                return [int(port[1]) for port in ports]
            time.sleep(0.05)
        raise SystemExit(f"the gateway didn't start: {self.log.read_text()}")

    def kill_origin(self):
        """The one that flaps, without a word."""
        os.kill(self.origins[1].pid, signal.SIGKILL)
        self.origins[1].wait()

    def restart_origin(self):
        """On its port; nobody waits until it listens."""
        self.origins[1] = self._origin(self.ports[1], ["--flapping"])

    def reload(self):
        os.kill(self.gateway.pid, signal.SIGHUP)

    def purge(self, selector):
        """Blocks for as long as the admin port does."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.admin_port}/v1/purge", json.dumps(selector).encode(),
            {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.probe_port}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def sample(self):
        """What the gateway holds just now: of the system's, and by its own word."""
        status = pathlib.Path(f"/proc/{self.gateway.pid}/status").read_text()
        text = self.metrics()
        total = lambda name: int(sum(float(value) for value in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.M)))
        return {
            "rss_mib": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024,
            "threads": int(re.search(r"Threads:\s+(\d+)", status)[1]),
            "descriptors": len(os.listdir(f"/proc/{self.gateway.pid}/fd")),
            "connections": total("freshgate_connections"),
            "origin_connections": total("freshgate_origin_connections"),
            "origin_requests": total("freshgate_origin_requests"),
            "fills": total("freshgate_fills"),
            "waiting": total("freshgate_waiting_requests"),
            "scope_cells": total("freshgate_scope_cells"),
            "entries": total("freshgate_stored_entries"),
            "stored_mib": total("freshgate_stored_bytes") / (1 << 20),
            "evicted": total("freshgate_evicted_total"),
        }
