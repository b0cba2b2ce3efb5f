"""Measures Freshgate and its peers in turns, and prints them side by side. Run it through run.sh; see README.md."""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import urllib.request

import systems

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CONNECTIONS = 32


def arguments():
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of all systems; medians are printed (default 5)")
    parser.add_argument("--seconds", type=int, default=3, help="load per system, mode and round (default 3)")
    parser.add_argument("--keys", type=int, default=200_000, help="answers stored to measure memory, 0: don't (default 200000)")
    parser.add_argument("--only", help="comma-separated systems, of those that the table shows")
    parser.add_argument("--freshgate", type=pathlib.Path, default=REPOSITORY / "target/release/freshgate",
                        help="the program (default target/release/freshgate)")
    parser.add_argument("--json", type=pathlib.Path, help="also write every figure of every round to this file")
    return parser.parse_args()


def origin_requests(origin):
    """How many requests the origin has had, the one that asks left out of the next difference."""
    with urllib.request.urlopen(f"http://127.0.0.1:{origin.port}/_status", timeout=10) as answer:
        return int(answer.read().split()[9])


def settled(origin):
    """The same once nothing is under way any more: what an earlier load left behind would be counted as this one's."""
    last = origin_requests(origin)
    while (now := origin_requests(origin)) != last + 1:
        last = now
    return now


def load(system, origin, mode, seconds, core):
    """CPU microseconds per request and requests per second; fails unless the cache did what `mode` says."""
    url = f"http://127.0.0.1:{system.port}/{mode}/item"
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    asked, cpu = settled(origin), system.cpu_us()
    said = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
    cpu, asked = system.cpu_us() - cpu, origin_requests(origin) - asked - 1
    done = int(re.search(r"(\d+) requests in", said)[1])
    bad = re.search(r"Non-2xx.*|Socket errors.*", said)
    # Requests that were on their way at the end have reached the origin without being counted by wrk.
    expected = range(1) if mode == "hit" else range(done, done + 2 * CONNECTIONS + 1)
    if bad or not done or asked not in expected:
        raise SystemExit(f"{system.name}, {mode}: not a fair run ({asked} of {done} requests reached the origin): {said}")
    return {"us": cpu / done, "rate": done / seconds}


def ask(port, paths):
    """GETs each path, over a few connections with a few requests under way on each."""
    sockets = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(8)]
    batch = 16
    try:
        for start in range(0, len(paths), batch * len(sockets)):
            for i, s in enumerate(sockets):
                mine = paths[start + i * batch:start + (i + 1) * batch]
                s.sendall(b"".join(b"GET %s HTTP/1.1\r\nHost: compare.test\r\n\r\n" % path for path in mine))
            for i, s in enumerate(sockets):
                wanted = len(paths[start + i * batch:start + (i + 1) * batch])
                received = b""
                while received.count(systems.END_OF_BODY) < wanted:
                    more = s.recv(1 << 16)
                    if not more:
                        raise SystemExit(f"port {port}: the connection ended: {received[-300:]!r}")
                    received += more
    finally:
        for s in sockets:
            s.close()


def memory(system, origin, keys):
    """Bytes of memory per stored answer of 1 KiB, its own 1024 left out where the answer itself is in memory."""
    ask(system.port, [b"/warm/%d" % n for n in range(2000)])
    before, asked = system.stored(), origin_requests(origin)
    paths = [b"/keys/%d" % n for n in range(keys)]
    ask(system.port, paths)
    grown, asked = system.stored() - before, origin_requests(origin) - asked - 1
    kept = origin_requests(origin)
    ask(system.port, paths[:1000] + paths[-1000:])
    kept = origin_requests(origin) - kept - 1
    if asked != keys or kept:
        raise SystemExit(f"{system.name}: {asked} of {keys} answers were fetched, {kept} of 2000 not kept")
    return grown / keys - (1024 if system.body_in_memory else 0)


def start(starter, options):
    """Everything that is there and wanted, Freshgate first."""
    wanted = options.only.split(",") if options.only else None
    freshgate = options.freshgate.resolve()
    makers = {}
    if freshgate.exists():
        makers["freshgate"] = lambda: starter.freshgate(freshgate)
        makers["freshgate+log"] = lambda: starter.freshgate(freshgate, access=True)
    else:
        print(f"Freshgate isn't built ({freshgate}; cargo build --release): measuring the others only.\n")
    makers |= {"nginx": starter.nginx, "nginx+log": lambda: starter.nginx(access=True),
               "haproxy": starter.haproxy, "varnish": starter.varnish}
    return [make() for name, make in makers.items() if wanted is None or name in wanted]


def measure(options, starter, load_core):
    """Figures by system: rounds of hit and pass, in turns, then memory."""
    origin = starter.origin()
    running = start(starter, options)
    for system in running:
        ask(system.port, [b"/hit/item", b"/pass/item"])
        for mode in ("hit", "pass"):
            warm(system, mode, load_core)
    figures = {system.name: {"hit": [], "pass": [], "memory": None} for system in running}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        first = number % max(len(running), 1)
        for system in running[first:] + running[:first]:
            for mode in ("hit", "pass"):
                figures[system.name][mode].append(load(system, origin, mode, options.seconds, load_core))
    for system in running:
        if options.keys and "+log" not in system.name:
            print(f"memory of {system.name}", flush=True)
            figures[system.name]["memory"] = memory(system, origin, options.keys)
            figures[system.name]["in_memory"] = system.body_in_memory
    return figures


def warm(system, mode, core):
    """Some load that isn't measured. wrk names the port in Host, so this also fills the key that wrk will ask for."""
    url = f"http://127.0.0.1:{system.port}/{mode}/item"
    subprocess.run(["taskset", "-c", str(core), "wrk", "-t1", f"-c{CONNECTIONS}", "-d1s", url], capture_output=True, timeout=30, check=True)


def median(rounds, what):
    return statistics.median(r[what] for r in rounds)


def report(figures, options):
    print(f"\nCPU of the proxy's processes per request, median of {options.rounds} rounds (lowest to highest)")
    print(f"{'':15}{'µs per hit':>24}{'µs per pass-through':>26}{'hits/s':>10}{'passes/s':>10}{'bytes beside 1 KiB':>20}")
    for name, f in figures.items():
        spread = [f"{median(f[m], 'us'):.2f} ({min(r['us'] for r in f[m]):.2f}–{max(r['us'] for r in f[m]):.2f})"
                  for m in ("hit", "pass")]
        kept = "" if f["memory"] is None else f"{f['memory']:.0f}" + ("" if f["in_memory"] else " *")
        print(f"{name:15}{spread[0]:>24}{spread[1]:>26}{median(f['hit'], 'rate'):>10.0f}{median(f['pass'], 'rate'):>10.0f}{kept:>20}")
    if any(not f.get("in_memory", True) for f in figures.values()):
        print("* its answers lie on disk: this is its index in memory, not comparable")
    for own in ("freshgate", "freshgate+log"):
        if own in figures:
            ratios(figures, own)


def ratios(figures, own):
    """Round by round, so that what slows the machine for a while slows both sides of a ratio."""
    print(f"\n{own} / peer (below 1: {own} is cheaper), median of the rounds' ratios")
    print(f"{'':15}{'hit':>8}{'pass':>8}{'memory':>8}")
    for name, f in figures.items():
        if name.startswith("freshgate"):
            continue
        pair = [statistics.median(a["us"] / b["us"] for a, b in zip(figures[own][m], f[m])) for m in ("hit", "pass")]
        mine, theirs = figures[own]["memory"], f["memory"]
        kept = f"{mine / theirs:.2f}" if mine is not None and theirs and f["in_memory"] else ""
        print(f"{name:15}{pair[0]:>8.2f}{pair[1]:>8.2f}{kept:>8}")


def main():
    options = arguments()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("two processor cores are needed: one for the proxy, one for the load")
    load_core, proxy_core = cores[0], cores[1]
    signal.signal(signal.SIGTERM, lambda *_: exit(1))
    root = tempfile.mkdtemp(prefix="compare-")
    starter = systems.Starter(root, proxy_core, load_core, cache_mb=max(1024, options.keys * 4 // 1024))
    try:
        figures = measure(options, starter, load_core)
    finally:
        starter.stop()
        shutil.rmtree(root, ignore_errors=True)
    report(figures, options)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
