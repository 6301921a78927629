"""`python3 -m trchaos`: search for violations, or replay one schedule with its trace."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from trchaos.execution import execute
from trchaos.rules.processes import log_errors_only
from trchaos.schedule import Schedule, make
from trchaos.search import PROCESSES, be_repeatable, search, table
from trchaos.shrink import as_text, shrink
from trchaos.state import ROOT, State, default_path
from trchaos.trace import Trace

SHRUNK: Final = 3  # violations that are shrunk at the end of a search
SCHEDULES: Final = ROOT / "tests" / "chaos" / "schedules"


def main() -> int:
    """Search or replay; the exit code is 1 when a rule was violated."""
    arguments = _arguments()
    be_repeatable("trchaos")
    if arguments.schedule is not None:
        return _replay(Schedule.from_json(json.loads(arguments.schedule.read_text(encoding="utf-8"))), arguments)
    if arguments.seed is not None:
        return _replay(make(arguments.seed), arguments)
    return _search(arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="trchaos",
        description="Operators in virtual time, with seeded faults: search for violations of what must always hold.",
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to search (default: %(default)s)")
    parser.add_argument("--start", type=int, default=0, help="first seed (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=PROCESSES, help="default: %(default)s")
    parser.add_argument(
        "--state", type=Path, default=default_path(), help="file with the seeds reached (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, help="replay this seed with its trace")
    parser.add_argument("--schedule", type=Path, help="replay the schedule in this JSON file with its trace")
    parser.add_argument("--shrink", action="store_true", help="with --seed or --schedule: shrink what violates a rule")
    parser.add_argument(
        "--save", type=Path, default=Path(), help="folder for shrunk schedules (default: the current one)"
    )
    return parser.parse_args()


def _replay(schedule: Schedule, arguments: argparse.Namespace) -> int:
    trace = Trace()
    with trace.log():
        report = execute(schedule, trace=trace)
    print(*trace.lines, sep="\n")
    print(as_text(schedule))
    print(f"trace {trace.digest[:16]}, {report.requests} calls, {report.seconds:.0f} s of virtual time")
    for violation in report.violations:
        print(f"violated at {violation.at:.3f} s: {violation.rule} ({violation.run}): {violation.text}")
    if report.violations and arguments.shrink:
        log_errors_only()
        _shrink(schedule, report.violations[0].rule, folder=arguments.save)
    return int(bool(report.violations))


def _search(arguments: argparse.Namespace) -> int:
    log_errors_only()
    state = State(arguments.state)
    known = set(state.tally.violations)
    search(
        state.tally,
        seconds=arguments.seconds,
        start=arguments.start,
        processes=arguments.processes,
        say=lambda text: print(text, flush=True),
        save=state.save,
    )
    print(table(state.tally))
    print(f"{state.tally.seeds / max(1.0, state.tally.real_seconds):.1f} seeds/s; state: {arguments.state}")
    for seed, found in state.tally.violations.items():
        print(f"seed {seed}: {found[0]}{f' (and {len(found) - 1} more)' if len(found) > 1 else ''}")
        print(f"  replay: make chaos SEED={seed}")
    rules: set[str] = set()
    for seed, found in state.tally.violations.items():
        rule = found[0].partition(" (")[0]
        if seed not in known and rule not in rules and len(rules) < SHRUNK:
            rules.add(rule)
            _shrink(make(int(seed)), rule, folder=arguments.save)
    return int(bool(state.tally.violations))


def _shrink(schedule: Schedule, rule: str, *, folder: Path) -> None:
    smaller = shrink(schedule, rule)
    path = folder / f"chaos-{schedule.seed}.json"
    path.write_text(json.dumps(smaller.to_json(), indent=1) + "\n", encoding="utf-8")
    print(f"\nshrunk: {rule}\n{as_text(smaller)}\n  replay: make chaos SCHEDULE={path}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
