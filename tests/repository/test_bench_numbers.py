"""Benchmarks compare limits with the printed value, and alternate what runs first in a pair."""

from __future__ import annotations

import pytest

from trbench.measurements import Measurement, compare


@pytest.mark.parametrize(
    ("value", "limit", "verdict"),
    [(1.2, 1.2, "PASS"), (1.204, 1.2, "PASS"), (1.21, 1.2, "FAIL"), (449.6, 450, "PASS"), (5.0, None, "")],
    ids=["at the limit", "beyond what is printed", "beyond", "large", "no limit"],
)
def test_a_number_is_judged_as_it_is_printed(value: float, limit: float | None, verdict: str) -> None:
    number = Measurement("upload", value, "x", limit)
    assert number.passed == (verdict != "FAIL")
    assert [word for word in number.line("transfer").split() if word in {"PASS", "FAIL"}] == (
        [verdict] if verdict else []
    )


@pytest.mark.parametrize(("value", "verdict"), [(6.0, "PASS"), (5.996, "PASS"), (5.9, "FAIL")])
def test_more_may_be_better(value: float, verdict: str) -> None:
    line = Measurement("speed", value, "x", 6, at_least=True).line("prep")
    assert ">= 6 x" in line
    assert line.endswith(verdict)


def test_both_sides_run_in_turns_and_the_ratio_is_the_median_of_the_pairs() -> None:
    order: list[str] = []
    ours, theirs = iter((2.0, 30.0, 4.0)), iter((1.0, 10.0, 4.0))

    def measure_ours() -> float:
        order.append("ours")
        return next(ours)

    def measure_theirs() -> float:
        order.append("theirs")
        return next(theirs)

    found = compare(measure_ours, measure_theirs, pairs=3)
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert (found.ratio, found.ours, found.theirs) == (2.0, 4.0, 4.0)
