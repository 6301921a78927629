"""Searches add up: seeds are executed once for each version of the code, and what was found is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from trchaos import state
from trchaos.execution import Report
from trchaos.rules.rule import Violation
from trchaos.search import search, table
from trchaos.state import State, Tally


def test_seeds_that_were_reached_are_left_out() -> None:
    tally = Tally()
    for seed in (0, 1, 2, 7, 4):
        tally.add(Report(seed))
    assert tally.reached == [[0, 2], [4, 4], [7, 7]]
    following = tally.missing(1)
    assert [next(following) for _ in range(4)] == [3, 5, 6, 8]


def test_a_search_goes_on_where_one_before_ended(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "chaos.json"
    first = State(path)
    first.tally.add(Report(0, runs=2, violations=[Violation(1.0, "a rule", "default/run-0", "text")]))
    first.save()
    second = State(path)
    assert second.tally == first.tally
    assert second.tally.violations == {"0": ["a rule (default/run-0): text"]}


def test_another_version_of_the_code_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "chaos.json"
    first = State(path)
    first.tally.add(Report(0))
    first.save()
    monkeypatch.setattr(state, "version", lambda: "another")
    other = State(path)
    assert other.tally.seeds == 0
    other.save()
    monkeypatch.undo()
    assert State(path).tally.seeds == 1


def test_searches_of_two_versions_at_the_same_time_keep_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "chaos.json"
    one = State(path)
    monkeypatch.setattr(state, "version", lambda: "another")
    other = State(path)
    for found in (one, other):
        found.tally.add(Report(0))
        found.save()
    assert State(path).tally.seeds == 1
    monkeypatch.undo()
    assert State(path).tally.seeds == 1
    assert list(tmp_path.iterdir()) == [path]


def test_processes_execute_seeds_and_the_table_has_their_sums() -> None:
    tally, said = Tally(), list[str]()
    search(tally, seconds=0.5, start=5, processes=1, say=said.append)
    assert tally.seeds >= 1
    assert tally.reached[0][0] == 5
    assert tally.requests > 0
    assert f"{tally.seeds:,} (5" in table(tally)
