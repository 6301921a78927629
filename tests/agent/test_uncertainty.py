"""Wilson's interval, compared with published values."""

from __future__ import annotations

import pytest

from trainingrun_agent.uncertainty import uncertainty


@pytest.mark.parametrize(
    ("score", "count", "expected"),
    [
        (0.5, 10, 0.2634),  # 5 of 10: 0.2366 to 0.7634
        (0.0, 10, 0.2775),  # 0 of 10: 0 to 0.2775
        (1.0, 10, 0.2775),
        (0.8, 10, 0.3098),  # 8 of 10: 0.4902 to 0.9433
        (0.5, 1000, 0.0309),
        (0.3, 0, 1.0),
    ],
)
def test_the_farther_end_of_the_interval(score: float, count: int, expected: float) -> None:
    assert uncertainty(score, count) == pytest.approx(expected, abs=0.0001)
