"""export.gate: the condition Qualified, which exists only with a gate and never ends a run."""

from __future__ import annotations

from typing import Any

import pytest

from trfakes.builders import a_run
from trfakes.play import Play
from trfakes.second_runs import MISSED, gated, training


def qualified(play: Play) -> tuple[Any, Any]:
    found = play.condition("Qualified")
    return found.get("status"), found.get("reason")


def test_a_gate_that_is_met() -> None:
    play = gated({"met": True, "missed": [], "missedCount": 0})
    assert qualified(play) == ("True", "GateMet")
    assert "GateMissed" not in play.reasons()
    assert "gate" not in play.status["message"]


def test_a_missed_gate_leaves_the_run_succeeded() -> None:
    play = gated(MISSED)
    assert qualified(play) == ("False", "GateMissed")
    message = "The exported detector misses 1 score of spec.export.gate: tire: AP@.5 0.610 < 0.800."
    assert play.condition("Qualified")["message"] == message
    assert play.condition("Succeeded")["status"] == "True"
    assert play.status["message"].endswith("It misses spec.export.gate: see the condition Qualified.")
    assert [(event.kind, event.message) for event in play.events if event.reason == "GateMissed"] == [
        ("Warning", message)
    ]


def test_many_missed_scores_are_named_as_far_as_they_fit() -> None:
    texts = [f"class {n} {'x' * 90}: AP@.5 0.1 < 0.8" for n in range(10)]
    play = gated({"met": False, "missed": texts, "missedCount": 12})
    shown = play.condition("Qualified")["message"]
    assert shown.startswith("The exported detector misses 12 scores of spec.export.gate: class 0")
    assert shown.endswith("; 10 more, see metrics.json of the export.")
    assert len(shown) <= 360


@pytest.mark.parametrize(
    "gate",
    [None, "x", {}, {"met": 1}, {"met": "no", "missed": []}],
    ids=["absent", "text", "empty", "number", "word"],
)
def test_an_export_that_does_not_say_is_neither(gate: object) -> None:
    assert qualified(gated(gate)) == ("Unknown", "NotReported")


@pytest.mark.parametrize("missed", [None, "x", [1, "a\nb", ""], ["x" * 500]], ids=["none", "text", "bad", "long"])
def test_garbage_among_the_missed_scores(missed: object) -> None:
    play = gated({"met": False, "missed": missed, "missedCount": -1})
    assert qualified(play) == ("False", "GateMissed")
    assert "misses 1 score of" in play.condition("Qualified")["message"]


def test_before_the_export_and_after_a_failure_it_is_unknown() -> None:
    play = training(a_run().spec(export={"gate": {"minMAP": 0.5}}))
    assert qualified(play) == ("Unknown", "Running")
    play.end_pod("tire-train-1", "userError")
    play.step(1)
    assert qualified(play) == ("Unknown", "Failed")
    play.spec(retry=1)
    play.step(1)
    assert qualified(play) == ("Unknown", "Running")


def test_without_a_gate_there_is_no_condition() -> None:
    play = training()
    play.end_pod("tire-train-1")
    play.step(1)
    play.end_pod("tire-export-1")
    play.step(1)
    assert qualified(play) == (None, None)
