"""Mistakes in spec.export show in prep, before anything is trained."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_run import resolved_document
from stage_verdict import verdict_of
from trainingrun_agent.config import Resolved, parse_resolved
from trainingrun_agent.errors import Outcome, UserError
from trainingrun_agent.stages import prep
from trainingrun_agent.stages.export_check import check_export
from trainingrun_agent.terms import TRAININGRUN

pytestmark = pytest.mark.contract


def resolved(classes: list[str] | None = None, **export: Any) -> Resolved:
    """30 steps with a checkpoint every 10."""
    document = resolved_document("http://127.0.0.1:9", "detectors", steps=25)
    document["dataset"]["classes"] = classes or ["tire", "rim"]
    document["export"] |= export
    return parse_resolved(json.dumps(document).encode())


def gate(*names: str | None) -> dict[str, Any]:
    bars = [{"class": name, "minMAP": "0.5", "minAP50": None} for name in names]
    return {"minMAP": None, "minAP50": None, "perClass": bars}


GOOD: dict[str, dict[str, Any]] = {
    "nothing": {},
    "best": {"checkpoint": "best"},
    "latest": {"checkpoint": "latest"},
    "a step": {"checkpoint": 20},
    "the last step": {"checkpoint": 25},
    "classes": {"gate": gate("tire", None)},
    "no classes": {"gate": gate()},
}


@pytest.mark.parametrize("export", GOOD.values(), ids=GOOD)
def test_what_can_be_exported_passes(export: dict[str, Any]) -> None:
    check_export(resolved(**export))


@pytest.mark.parametrize("step", [0, 5, 24, 26, 30])
def test_a_step_without_a_checkpoint_is_refused(step: int) -> None:
    with pytest.raises(UserError) as raised:
        check_export(resolved(checkpoint=step))
    assert str(raised.value) == (
        f"ExportCheckpointNotFound: spec.export.checkpoint: no checkpoint will be saved at step {step}, only every 10"
        " steps up to 25"
    )
    assert raised.value.hint_in(TRAININGRUN) == (
        "Create a new TrainingRun with another spec.export.checkpoint: best, latest, or a step at which a checkpoint is"
        " saved; or another spec.train.saveEverySteps."
    )


def test_a_class_that_is_not_learned_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError) as raised:
        check_export(resolved(gate=gate("Tire", "rim", "wheel")))
    assert str(raised.value) == (
        "GateClassUnknown: spec.export.gate.perClass names 'Tire' (nearest: 'tire'), 'wheel', which"
        " spec.dataset.classes does not have"
    )


def test_no_message_grows_with_the_spec() -> None:
    with pytest.raises(UserError) as raised:
        check_export(resolved(gate=gate(*(f"class {number:03d}" for number in range(100)))))
    assert "'class 009'" in str(raised.value)
    assert "'class 010'" not in str(raised.value)


def test_prep_ends_before_it_reads_an_image(run: Any) -> None:
    run.document["export"]["gate"] = gate("Tire")
    context = run.pod("prep")
    verdict = verdict_of(prep, context)
    assert (verdict.outcome, verdict.reason) == (Outcome.USER_ERROR, "GateClassUnknown")
    assert list(context.out.list("")) == []
