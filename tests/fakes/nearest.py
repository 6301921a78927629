"""Compare computed points as sets, because their last bits, and so their sort order, differ between CPUs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import dist

Point = Sequence[float]


def unpaired(found: Iterable[Point], wanted: Iterable[Point], *, within: float) -> list[tuple[str, Point]]:
    """Points that are in one set only: each wanted point takes the nearest free found one, at most `within` away.

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
