"""`python -m trfuzz [TARGET...]`: fuzz targets, or run one on a single input; exit code 1 when a target fails.

The corpus is kept in the user's cache folder, so each run continues from the previous one.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trfuzz import targets
from trfuzz.fuzzing import fuzz
from trimages.paths import default_cache

SECONDS = 60


def main() -> int:
    """Fuzz the named targets, by default all."""
    parser = argparse.ArgumentParser(prog="trfuzz", description="Fuzz the readers of users' files.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(targets.TARGETS)} (default: all)")
    parser.add_argument("--seconds", type=int, default=SECONDS, help=f"per target (default: {SECONDS})")
    parser.add_argument("--input", metavar="HEX", help="only run the target on this input: a file, or bytes in hex")
    parser.add_argument("--workers", type=int, default=2, help="targets fuzzed at the same time (default: 2)")
    arguments = parser.parse_args()
    names = arguments.targets or list(targets.TARGETS)
    unknown = [name for name in names if name not in targets.TARGETS]
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}; known: {', '.join(targets.TARGETS)}")
    if arguments.input is not None:
        path = Path(arguments.input)
        data = path.read_bytes() if len(arguments.input) < 255 and path.is_file() else bytes.fromhex(arguments.input)
        for name in names:
            print(f"{name}: read {targets.run(name, data)} values", flush=True)
        return 0
    with ThreadPoolExecutor(arguments.workers) as pool:
        return 1 if any(list(pool.map(lambda name: _fuzz(name, arguments.seconds), names))) else 0


def _fuzz(name: str, seconds: int) -> bool:
    """Fuzz one target; returns whether it failed."""
    corpus = default_cache().root.parent / "fuzz" / name
    corpus.mkdir(parents=True, exist_ok=True)
    found = fuzz(name, seconds=seconds, corpus=corpus)
    print(f"{name}: {found.runs} inputs, no failure" if found.runs else found.report(), flush=True)
    return not found.runs


if __name__ == "__main__":
    sys.exit(main())
