"""Sets of computed points, compared whatever their order and last bits."""

from __future__ import annotations

from nearest import Point, unpaired

# As two CPUs compute them: sorted, the first two are in another order.
ONE = [(0.15084943, 0.9), (0.15084945, 0.1), (0.3, 0.3)]
OTHER = [(0.15084943, 0.1), (0.15084945, 0.9), (0.3, 0.30000002)]


def same(found: list[Point], wanted: list[Point]) -> bool:
    return unpaired(found, wanted, within=1e-5) == []


def test_points_that_sort_differently_on_another_cpu_are_the_same_set() -> None:
    assert [first for first, _ in ONE] == [first for first, _ in OTHER]
    assert [second for _, second in ONE] != [second for _, second in OTHER]
    assert same(list(ONE), list(OTHER))
    assert same(list(OTHER), list(ONE))


def test_differences_are_named() -> None:
    assert unpaired([(0.1, 0.1), (0.2, 0.2)], [(0.1, 0.1), (0.2, 0.2001)], within=1e-5) == [
        ("missing", (0.2, 0.2001)),
        ("unexpected", (0.2, 0.2)),
    ]


def test_each_point_counts_once() -> None:
    assert not same([(0.1, 0.1)], [(0.1, 0.1), (0.1, 0.1)])
    assert not same([(0.1, 0.1), (0.1, 0.1)], [(0.1, 0.1)])
    assert same([(0.1, 0.1), (0.1, 0.1)], [(0.1, 0.1), (0.1, 0.1)])
    assert same([], [])
