"""Attacks a gateway and prints what becomes of those who send ordinary requests. Run it through run.sh; see README.md."""

import argparse
import collections
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from house import BEHIND, HERE, RAISED, House, Ordinary, all_descriptors, ended, for_seconds, percentile

REPOSITORY = HERE.parents[1]
RATIO = 3.0                 # the 99th percentile of ordinary requests under attack, at most, times that in quiet
STREAMS = 100               # `limits.h2_streams`, by default
PER_CONNECTION = 0.0625     # MiB that a held connection may cost: 64 KiB, as much as its head may have
BESIDE = 32                 # MiB beside that: the allocator's, and answers on their way

ATTACKS = ["resets-in-one-write", "resets-one-per-write", "resets-10-connections", "continuation-flood", "continuation-trickle",
           "settings-flood", "ping-flood", "empty-data-flood", "priority-flood", "window-update-flood", "zero-window",
           "streams-without-end"]
missed = []


def arguments():
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__)
    parser.add_argument("--freshgate", type=pathlib.Path, default=REPOSITORY / "target/release/freshgate",
                        help="the program (default target/release/freshgate)")
    parser.add_argument("--seconds", type=int, default=5, help="of each attack over HTTP/2 (default 5)")
    parser.add_argument("--connections", type=int, default=4000, help="held by slowhttptest in all (default 4000)")
    parser.add_argument("--only", help="comma-separated: slow, capped, or attacks over HTTP/2 by name: " + ", ".join(ATTACKS))
    return parser.parse_args()


def mark(what, holds):
    if not holds:
        missed.append(what)
    return "holds" if holds else "MISSED"


def milliseconds(took):
    return f"p50 {percentile(took, 0.5):.2f} ms, p99 {percentile(took, 0.99):.2f} ms"


def quiet(ordinary):
    """The 99th percentile when nobody attacks; the median of three, since a machine has moments of its own."""
    ordinary.during(for_seconds(1))
    rounds = [ordinary.during(for_seconds(2)) for _ in range(3)]
    took = sorted(rounds, key=lambda took: percentile(took, 0.99))[1]
    print(f"  quiet:  {milliseconds(took)} ({len(took)} requests)")
    return percentile(took, 0.99)


def compared(what, took, before):
    ratio = percentile(took, 0.99) / before
    print(f"  attack: {milliseconds(took)} ({len(took)} requests); p99 ratio {ratio:.1f}, at most {RATIO:.0f}: {mark(what + ' p99', ratio <= RATIO)}")


def slow(options, house, what, wanted):
    """slowhttptest in its three modes at once."""
    ordinary = Ordinary(house)
    before, memory = quiet(ordinary), house.memory()
    url = f"http://127.0.0.1:{house.port}"
    each = str(options.connections // 3 + 1)
    seconds = "25"
    basics = ["slowhttptest", "-c", each, "-r", "250", "-l", seconds, "-i", "5", "-p", "3"]
    modes = {"slow headers": ["-H", "-u", url + "/slow"], "slow bodies": ["-B", "-t", "POST", "-s", "8192", "-u", url + "/slow"],
             "slow reads": ["-X", "-w", "1", "-y", "512", "-n", "5", "-z", "32", "-u", url + "/large"]}
    running = [subprocess.Popen([*BEHIND, *basics, *mode], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for mode in modes.values()]
    held, most, come = [], [], []

    def look():
        held.append(house.connections())
        most.append(house.memory())
        # They come for some seconds, and go all at once: what counts is the time in which they are held.
        if not come and held[-1] < wanted * 0.9:
            return False
        come.append(time.monotonic())

    try:
        patience = for_seconds(60)
        begin = time.monotonic()
        goes_on = lambda: patience() and all(process.poll() is None for process in running)
        took = ordinary.during(goes_on, look)
        print(f"  nine tenths of {wanted} were there after {come[0] - begin:.1f} s" if come else f"  of {wanted} nine tenths never were there")
    finally:
        for process in running:
            ended(process)
    time.sleep(2)
    compared(what, took, before)
    print(f"  connections held: at most {max(held)}, {house.connections()} two seconds later; ordinary requests failed: {ordinary.failed}")
    bound = memory + max(held) * PER_CONNECTION + BESIDE
    print(f"  resident: {memory:.0f} MiB before, at most {max(most):.0f}, {house.memory():.0f} after; "
          f"at most {bound:.0f} (64 KiB a connection, and {BESIDE} MiB): {mark(what + ' memory', max(most) <= bound)}")
    return max(held)


def over_h2(options, house, name, before):
    ordinary = Ordinary(house)
    asked, memory, most = house.origin_requests(), house.memory(), []
    command = [*BEHIND, sys.executable, "-B", HERE / "raw_h2.py", str(house.port), name, str(options.seconds)]
    said = tempfile.TemporaryFile("w+")
    attacker = subprocess.Popen([str(part) for part in command], stdout=said)
    try:
        patience = for_seconds(options.seconds + 60)
        took = ordinary.during(lambda: patience() and attacker.poll() is None, lambda: most.append(house.memory()))
    finally:
        ended(attacker)
    said.seek(0)
    results = json.loads(said.read() or "[]")
    time.sleep(0.5)
    caused = house.origin_requests() - asked
    print(f"\n{name}")
    compared(name, took, before)
    if not results:
        print(f"  no connection came about: {mark(name, False)}")
        return
    ways = collections.Counter(result["how"] for result in results)
    times = [result["seconds"] for result in results]
    opened, answered, refused = (sum(result[key] for result in results) for key in ("opened", "answered", "refused"))
    print(f"  {len(results)} connections, which ended after {min(times):.2f} to {max(times):.2f} s (median {statistics.median(times):.2f}): "
          + ", ".join(f"{count} × {how}" for how, count in ways.most_common()))
    text = f"  {opened} requests opened, {answered} answered, {refused} reset by the gateway; the origin got {caused}"
    if name.startswith("resets"):
        most_caused = STREAMS * len(results)
        text += f", at most {most_caused} ({STREAMS} a connection): {mark(name + ' origin requests', caused <= most_caused)}"
    print(text)
    bound = memory + BESIDE + 20
    print(f"  resident: {memory:.0f} MiB before, at most {max(most, default=memory):.0f}, {house.memory():.0f} after; at most {bound:.0f}: "
          f"{mark(name + ' memory', max(most, default=memory) <= bound)}")


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    program = options.freshgate.resolve()
    if not program.exists():
        raise SystemExit(f"Freshgate isn't built ({program}): cargo build --release")
    all_descriptors()
    wanted = options.only.split(",") if options.only else ["slow", "capped", *ATTACKS]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if "slow" in wanted:
            print(f"slowhttptest, {options.connections} connections, one address may have 10,000")
            with House(program, folder, RAISED) as house:
                slow(options, house, "slow", options.connections)
        if "capped" in wanted:
            print(f"\nslowhttptest, {options.connections} connections, defaults: one address may have 1,000")
            with House(program, folder, "") as house:
                held = slow(options, house, "capped", min(1000, options.connections))
                print(f"  at most 1,000 of one address, and two of ours: {mark('capped', held <= 1002)}")
        attacks = [name for name in ATTACKS if name in wanted]
        if attacks:
            with House(program, folder, RAISED) as house:
                print(f"\nHTTP/2, each attack for {options.seconds} s")
                before = quiet(Ordinary(house))
                for name in attacks:
                    over_h2(options, house, name, before)
    print(f"\nMISSED: {', '.join(missed)}" if missed else "\nall marks hold")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
