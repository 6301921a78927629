"""Pairs of classes that a mirrored image turns into each other."""

from __future__ import annotations

import pytest

from trainingrun_agent.pipeline.mirrored import Axis, pairs

PAIRS = [
    pytest.param(("arrow_left", "arrow_right"), [("arrow_left", "arrow_right")], id="snake case"),
    pytest.param(("turnRight", "stop", "turnLeft"), [("turnLeft", "turnRight")], id="camel case"),
    pytest.param(("Schraube links", "Schraube rechts"), [("Schraube links", "Schraube rechts")], id="German"),
    pytest.param(("door-L", "door-R"), [("door-L", "door-R")], id="letters"),
    pytest.param(("左矢印", "右矢印"), [("左矢印", "右矢印")], id="Japanese"),
    pytest.param(("lane 1 left", "lane 1 right"), [("lane 1 left", "lane 1 right")], id="numbers that are equal"),
    pytest.param(("lane 1 left", "lane 2 right"), [], id="numbers that differ"),
    pytest.param(("right", "wrong"), [], id="right and wrong"),
    pytest.param(("left_arrow", "stop"), [], id="one alone"),
    pytest.param(("copyleft", "copyright"), [], id="parts of words"),
    pytest.param(("scratch", "dent"), [], id="neither"),
    pytest.param((), [], id="no classes"),
]


@pytest.mark.parametrize(("classes", "expected"), PAIRS)
def test_left_and_right(classes: tuple[str, ...], expected: list[tuple[str, str]]) -> None:
    assert pairs(classes, "horizontal") == expected


@pytest.mark.parametrize(("axis", "found"), [("vertical", True), ("horizontal", False)])
def test_up_and_down_are_of_the_other_axis(axis: Axis, *, found: bool) -> None:
    assert bool(pairs(("arrow_up", "arrow_down"), axis)) is found
