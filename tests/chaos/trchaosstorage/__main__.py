"""`python3 -m trchaosstorage --seconds 600 | --seed 7`: many lives, one seed each, and a table of what they met."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trchaosstorage.faulty_life import Result, live
from trservers import catalogue
from trservers.server import Server


def main() -> int:
    """Live; returns 0 without violations."""
    parser = argparse.ArgumentParser(prog="trchaosstorage", description="Inject faults of storage, by seeds.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--workers", type=int, default=3, help="lives at a time: half of their time they wait")
    parser.add_argument("--server", default="versitygw", choices=catalogue.ALL)
    parser.add_argument("--keep", action="store_true", help="keep the folders of pods and the buckets")
    asked = parser.parse_args()
    total, ends, lives, pods, broken = Counter[str](), Counter[str](), 0, 0, 0
    with tempfile.TemporaryDirectory() as folder, catalogue.running(asked.server, Path(folder)) as server:
        for result in _results(asked, server):
            lives, pods = lives + 1, pods + result.pods
            total.update(result.injected)
            ends.update(result.ends)
            broken += bool(result.violations)
            _print(result, asked.server)
    for title, counts in (("faults", total), ("ends of pods", ends)):
        print(f"{title}:")
        for kind, count in sorted(counts.items()):
            print(f"{count:7}  {kind}")
    print(f"{lives} lives, {pods} pods, {total.total()} faults, {broken} lives with violations ({asked.server})")
    return 1 if broken else 0


def _results(asked: argparse.Namespace, server: Server) -> Iterator[Result]:
    if asked.seed is not None:
        yield live(asked.seed, server, keep=asked.keep)
        return
    until, seeds = time.monotonic() + asked.seconds, iter(range(asked.first, sys.maxsize))
    with ThreadPoolExecutor(asked.workers) as pool:
        running = [pool.submit(live, next(seeds), server, keep=asked.keep) for _ in range(asked.workers)]
        while running:
            yield running.pop(0).result()
            if time.monotonic() < until:
                running.append(pool.submit(live, next(seeds), server, keep=asked.keep))


def _print(result: Result, server: str) -> None:
    faults = sum(result.injected.values())
    met = f"{result.pods} pods, {faults} faults in {result.seconds:.0f} s"
    print(f"seed {result.seed}: {met}, {len(result.violations)} violations", flush=True)
    for violation in result.violations:
        print(f"  {violation}")
    if result.violations:
        print(f"  again: make chaos-storage SEED={result.seed} SERVER={server}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
