"""Measurements with their limits, and comparisons of two times that other work on the machine does not distort.

Invariant: two things are compared in pairs that run one right after the other, alternating which one comes first, so
that other work on the machine affects both.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

Echo = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line of a benchmark's output; it cannot fail without a `limit`; `at_least` means that more is better."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    detail: str = ""
    at_least: bool = False

    @property
    def passed(self) -> bool:
        """Whether the value, rounded as printed, is within its limit."""
        if self.limit is None:
            return True
        shown = float(_short(self.value))
        return shown >= self.limit if self.at_least else shown <= self.limit

    def line(self, program: str) -> str:
        """The line that is printed."""
        value = f"{_short(self.value):>8} {self.unit}"
        limit = "" if self.limit is None else f"{'>=' if self.at_least else '<='} {self.limit:g} {self.unit}"
        verdict = "" if self.limit is None else "PASS" if self.passed else "FAIL"
        return f"{program:14} {self.name:46} {value:<18} {limit:12} {verdict:5} {self.detail}".rstrip()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of a comparison: the median of the pairs' ratios, and both medians in seconds."""

    ratio: float
    ours: float
    theirs: float


def compare(ours: Callable[[], float], theirs: Callable[[], float], *, pairs: int) -> Comparison:
    """Measure both alternately, `pairs` times; each call returns its seconds."""
    seconds: list[tuple[float, float]] = []
    for pair in range(pairs):
        if pair % 2:
            other = theirs()
            seconds.append((ours(), other))
        else:
            seconds.append((ours(), theirs()))
    first, second = zip(*seconds, strict=True)
    return Comparison(
        statistics.median(one / other for one, other in seconds), statistics.median(first), statistics.median(second)
    )


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"
