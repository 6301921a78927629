"""`python3 -m trchaos`: execute seeds, one after the other, and print what they violate."""

from __future__ import annotations

import argparse
import logging
import sys
import time

from trchaos.execution import execute
from trchaos.schedule import make


def main() -> int:
    parser = argparse.ArgumentParser(prog="trchaos", description="Execute seeded fault schedules in virtual time.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, help="execute this seed only, with the operator's log")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(levelname)s %(name)s %(message)s")
        report = execute(make(arguments.seed))
        print(*report.violations, sep="\n")
        return int(bool(report.violations))
    logging.disable(logging.WARNING)
    started, seed, found = time.monotonic(), 0, 0
    while time.monotonic() - started < arguments.seconds:
        report = execute(make(seed))
        for violation in report.violations:
            print(f"seed {seed}: {violation}")
        found += bool(report.violations)
        seed += 1
    print(f"{seed} seeds, {found} with violations")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
