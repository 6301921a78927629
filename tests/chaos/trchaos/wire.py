"""`python3 -m trchaos.wire`: test the model, by executing schedules with kopf and over HTTP as well."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from trchaos.rules.processes import log_errors_only
from trchaos.schedule import make
from trchaos.search import be_repeatable
from trchaos.wire_comparison import Comparison, compare, counts

SEEDS: Final = 50


def main() -> int:
    """Execute and compare; the exit code is 1 when a rule was violated or the model differs."""
    arguments = _arguments()
    be_repeatable("trchaos.wire")
    log_errors_only()
    found = []
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        found.append(compare(make(seed)))
        _say(found[-1])
    print(table(found))
    return int(any(one.differences or one.report.violations for one in found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="trchaos.wire",
        description="Operators with kopf and HTTP, in virtual time, with seeded faults: is the model of both honest?",
    )
    parser.add_argument("--first", type=int, default=0, help="first seed (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many (default: %(default)s)")
    return parser.parse_args()


def _say(one: Comparison) -> None:
    report = one.report
    print(
        f"seed {report.seed}: {report.runs} runs, {report.faults.total()} faults, {report.requests} calls", flush=True
    )
    for violation in report.violations:
        print(f"  violated at {violation.at:.3f} s: {violation.rule} ({violation.run}): {violation.text}", flush=True)
    for difference in one.differences:
        print(f"  differs: {difference}", flush=True)


def table(found: list[Comparison]) -> str:
    """Sums of all schedules."""
    ends = [len(one.allowed(run)) for one in found for run in one.wire.ends]
    rows = [
        ("schedules", f"{len(found):,}"),
        ("faults", f"{sum(one.report.faults.total() for one in found):,}"),
        ("runs", f"{len(ends):,}"),
        ("  with one end in the model", f"{ends.count(1):,}"),
        ("violations", f"{sum(len(one.report.violations) for one in found):,}"),
        ("differences", f"{sum(len(one.differences) for one in found):,}"),
        ("calls", "over HTTP, in the model"),
        *(
            (f"  {' '.join(call)}", f"{wire:,}, {least:,} to {most:,}")
            for call, (wire, least, most) in counts(found).items()
        ),
    ]
    return "\n".join(f"{name:30} {value}" for name, value in rows)


if __name__ == "__main__":
    sys.exit(main())
