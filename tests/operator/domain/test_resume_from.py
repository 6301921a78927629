"""spec.resumeFrom: which run is waited for, and which can never be continued."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api.run import Run
from trfakes.builders import RunBuilder, a_run
from trfakes.play import Play

FOLDER = "s3://detectors/team/runs/default/old-0a1b2c3d/"


def wants(name: str, **spec: Any) -> Run:
    return replace(a_run(name).spec(**spec).build(), uid=f"uid-{name}")


def play_of(run: Run, *others: Run) -> Play:
    play = Play()
    play.run = run
    play.others = {each.key: each for each in (run, *others)}
    play.step()
    return play


def old(phase: str, *, finished: str = "False") -> RunBuilder:
    return a_run("old").condition("Finished", finished).status(phase=phase, storageURI=FOLDER)


@pytest.mark.parametrize(
    "other",
    [old("Succeeded", finished="True"), old("Failed", finished="True"), old("Suspended")],
    ids=["succeeded", "failed", "suspended"],
)
def test_a_run_that_has_come_to_an_end_is_continued(other: RunBuilder) -> None:
    play = play_of(wants("tire", resumeFrom={"run": "old"}), other.build())
    assert play.condition("Accepted")["status"] == "True"
    assert play.resolved["resumeFrom"] == {"bucket": "detectors", "key": "team/runs/default/old-0a1b2c3d/"}


@pytest.mark.parametrize("phase", ["Pending", "Preparing", "Training", "Exporting"])
def test_a_run_that_works_is_waited_for(phase: str) -> None:
    play = play_of(wants("tire", resumeFrom={"run": "old"}), old(phase).build())
    assert play.condition("Accepted")["reason"] == "ResumeFromRunNotReady"
    assert play.status["message"] == (
        f"spec.resumeFrom.run: TrainingRun 'old' has not ended and is not suspended (phase {phase}); waiting for it. "
        "This run starts by itself once that one has ended or is suspended."
    )
    play.others["default/old"] = old("Suspended").build()
    play.step(10)
    assert play.condition("Accepted")["status"] == "True"


def test_a_run_that_does_not_exist_is_waited_for() -> None:
    play = play_of(wants("tire", resumeFrom={"run": "odl"}), old("Succeeded", finished="True").build())
    assert play.condition("Accepted")["reason"] == "ResumeFromRunNotFound"
    assert play.status["message"] == (
        "spec.resumeFrom.run: there is no TrainingRun 'odl' (did you mean 'old'?) in namespace default; waiting for "
        "it. Create that TrainingRun: this one then starts by itself. To continue a run that was deleted, create a new "
        "TrainingRun with spec.resumeFrom.uri, its folder in the bucket."
    )


def test_a_run_that_was_never_accepted_cannot_be_continued() -> None:
    other = a_run("old").condition("Finished").status(phase="Failed").build()
    play = play_of(wants("tire", resumeFrom={"run": "old"}), other)
    assert (play.status["phase"], play.condition("Accepted")["reason"]) == ("Failed", "ResumeFromRunEmpty")


def test_runs_that_wait_for_each_other_are_refused_whichever_field_names_the_next_one() -> None:
    runs = [
        wants("a", resumeFrom={"run": "b"}),
        wants("b", model={"pretrained": {"run": "c"}}),
        wants("c", resumeFrom={"run": "a"}),
    ]
    play = play_of(*runs)
    assert play.condition("Accepted")["reason"] == "ResumeFromRunCircular"
    assert "spec.resumeFrom.run: this run would wait for itself: a -> b -> c -> a." in play.status["message"]


def test_an_accepted_run_goes_on_after_the_other_one_is_gone() -> None:
    play = play_of(wants("tire", resumeFrom={"run": "old"}), old("Succeeded", finished="True").build())
    del play.others["default/old"]
    play.step(5)
    assert play.condition("Accepted")["status"] == "True"
