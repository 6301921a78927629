"""Times from outside: whatever is not a time of the API counts as none, and never stops a reconcile."""

from __future__ import annotations

import pytest

from trainingrun.api import clock
from trainingrun.domain import reported


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01T00:00:00"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31T23:59:59Z", "99999-01-01T00:00:00Z"),
        *("2026-01-01T00:00:00Z\x1b[2J", "\u0662026-01-01T00:00:00Z", "2026-01-01T00:00:00Z" * 1000),
    ],
)
def test_what_is_no_time_counts_as_none(text: str) -> None:
    assert clock.parse(text) is None
    assert clock.seconds_between(text, "2026-01-01T00:00:00Z") is None
    assert reported.moment(text) is None


def test_a_time_with_a_zone_is_read_in_any_zone() -> None:
    assert reported.moment("2026-01-01T02:00:00.5+02:00") == "2026-01-01T00:00:00Z"
    assert clock.seconds_between("2026-01-01T00:00:00Z", "2026-01-01T02:00:10+02:00") == 10
    assert clock.seconds_between(None, "2026-01-01T00:00:00Z") is None
