"""Compare computed points as sets: on another CPU their last bits differ, and so the order in which they sort."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import dist

Point = Sequence[float]


def unpaired(found: Iterable[Point], wanted: Iterable[Point], *, within: float) -> list[tuple[str, Point]]:
    """What is in one set only: each wanted point takes the nearest found one that is free and at most `within` away.

    Empty when both are the same set. `within` is meant to be far smaller than the gaps between different points.
    """
    free = list(found)
    missing: list[tuple[str, Point]] = []
    for point in wanted:
        nearest = min(free, key=lambda other: dist(point, other), default=None)
        if nearest is None or dist(point, nearest) > within:
            missing.append(("missing", point))
        else:
            free.remove(nearest)
    return [*missing, *(("unexpected", point) for point in free)]
