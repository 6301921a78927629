"""`python3 -m trchaos.stream`: execute seeds and print what each violates, one JSON document a line.

It runs with the operator's package that PYTHONPATH names, so that a mutant is executed like the operator of today.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable

from trchaos.execution import execute
from trchaos.rules.processes import log_errors_only
from trchaos.schedule import make


def main() -> int:
    parser = argparse.ArgumentParser(prog="trchaos.stream", description="Execute seeds, one JSON document each.")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    log_errors_only()
    stream(range(arguments.first, arguments.first + arguments.seeds))
    return 0


def stream(seeds: Iterable[int]) -> None:
    """Print the seed and its violations, as rule, object and text."""
    for seed in seeds:
        found = [(violation.rule, violation.run, violation.text) for violation in execute(make(seed)).violations]
        print(json.dumps({"seed": seed, "violations": found}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
