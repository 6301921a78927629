"""`python3 -m trchaos.mutants`: put defects back, one by one; some seed must show each of them.

Caught means: a rule is broken that the operator of today does not break in that seed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from trchaos.hunt import Caught, Today, copy_with_patch, hunt
from trchaos.mutant_table import MUTANTS, Mutant
from trcluster.command import CommandError

SEEDS: Final = 200
PROCESSES: Final = 2
_HEAD: Final = ("defect", "patch", "seeds", "rule that is broken")


def main() -> int:
    """Run the mutants and print a table; the exit code is 1 when one of them is not caught."""
    parser = argparse.ArgumentParser(prog="trchaos.mutants", description="Put defects back: seeds must show them.")
    parser.add_argument("names", nargs="*", help="parts of names of patches; by default all")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="seeds to execute, at most (%(default)s)")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    arguments = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if not arguments.names or any(n in mutant.patch for n in arguments.names)]
    today, rows = Today(), dict.fromkeys((mutant.patch for mutant in chosen), "")
    with ThreadPoolExecutor(arguments.processes) as pool:
        tries = {pool.submit(_try, mutant, seeds=arguments.seeds, today=today): mutant for mutant in chosen}
        for number, done in enumerate(as_completed(tries), 1):
            mutant, result = tries[done], done.result()
            print(f"[{number}/{len(chosen)}] {mutant.patch}: {_summary(result)}", file=sys.stderr, flush=True)
            rows[mutant.patch] = _row(mutant, result, seeds=arguments.seeds)
    caught = sum("**" not in row for row in rows.values())
    print(f"| {' | '.join(_HEAD)} |", f"|{'---|' * len(_HEAD)}", *rows.values(), sep="\n")
    print(f"\n{caught} of {len(chosen)} mutants caught within {arguments.seeds} seeds")
    return 1 if caught < len(chosen) or not chosen else 0


def _try(mutant: Mutant, *, seeds: int, today: Today) -> Caught | CommandError | None:
    with tempfile.TemporaryDirectory(prefix="trainingrun-chaos-") as folder:
        try:
            return hunt(copy_with_patch(mutant.path, to=Path(folder)), seeds=seeds, today=today)
        except CommandError as error:
            return error


def _summary(result: Caught | CommandError | None) -> str:
    if isinstance(result, Caught):
        return f"caught by seed {result.seed}: {result.rule}: {result.object} {result.text}"[:300]
    return "SURVIVED" if result is None else f"FAILED: {result}"


def _row(mutant: Mutant, result: Caught | CommandError | None, *, seeds: int) -> str:
    if isinstance(result, Caught):
        after, rule = str(result.seed + 1), f"{result.rule} (seed {result.seed})"
    else:
        after, rule = f"**not in {seeds}**", "" if result is None else "**does not apply, or cannot be executed**"
    return f"| {mutant.defect} | `{mutant.patch}` | {after} | {rule} |"


if __name__ == "__main__":
    sys.exit(main())
