"""Schedules that violated a rule once: what they found was mended. Then as many seeds as fit into a minute."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from trchaos.execution import execute
from trchaos.schedule import Schedule
from trchaos.search import search, table
from trchaos.state import Tally

FOLDER = Path(__file__).parent / "schedules"
SECONDS = 35.0  # of two cores; with the other tests of this folder, a minute
MOST = 400  # a fast machine must not be the first to execute a seed: these have been executed


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_what_was_mended_stays_so(path: Path) -> None:
    schedule = Schedule.from_json(json.loads(path.read_text(encoding="utf-8")))
    assert execute(schedule).violations == []


def test_seeds_violate_nothing(record_property: Callable[[str, object], None]) -> None:
    tally, began = Tally(), time.monotonic()
    search(tally, seconds=SECONDS, most=MOST)
    seconds = time.monotonic() - began
    record_property(
        "note",
        f"{tally.seeds} seeds with {tally.faults.total():,} faults in {seconds:.0f} s: "
        f"{len(tally.violations)} with violations",
    )
    print(table(tally))
    assert tally.violations == {}
    assert tally.seeds > 0
