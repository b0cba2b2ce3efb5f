"""Mixed load for a long time: does memory, do tasks, do connections grow? Run it through run.sh; see README.md."""

import argparse
import asyncio
import csv
import pathlib
import signal
import sys
import tempfile
import time

from house import HERE, House
from load import Load

GROWTH = 0.05           # RSS of the last third against the second, at most
SPARE = 4               # descriptors more than at the start: health checks and a sample may be under way
QUIET = 60              # seconds after the load in which all has to end
ZERO = ["connections", "origin_requests", "fills", "waiting"]


def arguments():
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__)
    parser.add_argument("seconds", type=int, nargs="?", default=1800, help="of load (default 1800)")
    parser.add_argument("--freshgate", type=pathlib.Path, default=HERE.parents[1] / "target/release/freshgate",
                        help="the program (default: target/release/freshgate, which run.sh builds)")
    parser.add_argument("--rate", type=float, default=400, help="requests a second in all (default 400)")
    parser.add_argument("--cache", type=int, default=32, help="MiB of the cache (default 32), full within the first minutes")
    parser.add_argument("--reload", type=float, default=10, help="seconds between two SIGHUPs; 0: none (default 10)")
    parser.add_argument("--kill", type=float, default=45, help="seconds between two kills of an origin; 0: none (default 45)")
    parser.add_argument("--seed", type=int, default=1, help="of the load (default 1)")
    parser.add_argument("--csv", type=pathlib.Path, help="where every sample goes")
    return parser.parse_args()


async def every(seconds, act):
    while seconds:
        await asyncio.sleep(seconds)
        await act()


async def sampling(house, load, seconds):
    """A sample every ten seconds, more often in a short run."""
    step, begin, samples = min(10.0, max(1.0, seconds / 60)), time.monotonic(), []
    show(None)
    shown = 0
    while (now := time.monotonic() - begin) < seconds:
        if house.gateway.poll() is not None:
            raise SystemExit(f"the gateway has ended with {house.gateway.returncode}")
        sample = {"seconds": round(now), "asked": load.asked, **await asyncio.to_thread(house.sample)}
        samples.append(sample)
        if now >= shown:
            show(sample)
            shown += max(step, seconds / 30)
        await asyncio.sleep(step - (time.monotonic() - begin) % step)
    return samples


COLUMNS = [("seconds", 7), ("asked", 8), ("rss_mib", 8), ("threads", 7), ("descriptors", 11), ("connections", 11), ("origin_connections", 18),
           ("origin_requests", 15), ("fills", 5), ("waiting", 7), ("scope_cells", 11), ("entries", 7), ("stored_mib", 10), ("evicted", 8)]


def show(sample):
    cells = [f"{name if sample is None else round(sample[name], 1):>{width}}" for name, width in COLUMNS]
    print("  ".join(cells), flush=True)


async def loaded(house, options):
    """The samples, and what happened to requests."""
    async def kill():
        house.kill_origin()
        await asyncio.sleep(3)
        house.restart_origin()

    async def reload():
        house.reload()

    load = Load(house, options.rate, options.seed)
    beside = [asyncio.create_task(every(options.kill, kill)), asyncio.create_task(every(options.reload, reload))]
    clients = asyncio.create_task(load.run())
    try:
        samples = await sampling(house, load, options.seconds)
    finally:
        load.going = False
        for task in beside:
            task.cancel()
    await asyncio.wait_for(clients, 60)
    if house.origins[1].poll() is not None:
        house.restart_origin()
    return samples, load


def quiet(house, before):
    """The first sample in which nothing is left of the load; the last one if that never comes."""
    until = time.monotonic() + QUIET
    while True:
        sample = house.sample()
        still = all(sample[name] == 0 for name in ZERO) and sample["descriptors"] <= before["descriptors"] + SPARE
        if still or time.monotonic() > until:
            return sample
        time.sleep(1)


def mean(samples, begin, end):
    values = [sample["rss_mib"] for sample in samples][int(len(samples) * begin):int(len(samples) * end)]
    return sum(values) / max(1, len(values))


def judged(samples, before, after, load):
    """Prints each mark; whether all hold."""
    warm, late = mean(samples, 1 / 3, 2 / 3), mean(samples, 2 / 3, 1)
    growth = late / warm - 1
    threads = [sample["threads"] for sample in samples]
    marks = [
        (f"RSS of the last third {late:.1f} MiB, of the second {warm:.1f} MiB: {growth:+.1%}, at most {GROWTH:+.0%}", growth <= GROWTH),
        (f"threads {min(threads)} to {max(threads)}, {after['threads']} at the end",
         after["threads"] <= max(before["threads"], *threads[:len(threads) // 3 + 1])),
        ("when the load is over: " + ", ".join(f"{name} {after[name]}" for name in ZERO), all(after[name] == 0 for name in ZERO)),
        (f"descriptors {before['descriptors']} before, {after['descriptors']} after, at most {SPARE} more",
         after["descriptors"] <= before["descriptors"] + SPARE),
        (f"evicted {samples[-1]['evicted']}: the cache was full", samples[-1]["evicted"] > 0),
        (f"asked {load.asked} of {load.rate * samples[-1]['seconds']:.0f}: the load was there", load.asked > 0.8 * load.rate * samples[-1]["seconds"]),
    ]
    for what, holds in marks:
        print("PASS" if holds else "FAIL", what)
    return all(holds for _, holds in marks)


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="freshgate-soak-") as folder, House(options.freshgate, pathlib.Path(folder), options.cache) as house:
        print("on besides:", ", ".join(house.on) or "nothing")
        before = house.sample()
        samples, load = asyncio.run(loaded(house, options))
        after = quiet(house, before)
        show({"seconds": samples[-1]["seconds"], "asked": load.asked, **after})
        if options.csv:
            with options.csv.open("w") as file:
                writer = csv.DictWriter(file, samples[0])
                writer.writeheader()
                writer.writerows(samples)
        print("requests:", ", ".join(f"{kind} {status}: {n}" for (kind, status), n in sorted(load.tally.items(), key=str)))
        holds = judged(samples, before, after, load)
        log = house.log.read_text()
    panics = log.count("panicked")
    print("PASS" if panics == 0 else "FAIL", f"{panics} panics in the log")
    return 0 if holds and panics == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
