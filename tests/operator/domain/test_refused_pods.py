"""An attempt whose pod the cluster refuses waits, until the installer's settings for pods change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trainingrun.api.names import Stage
from trainingrun.api.settings import RunPods
from trfakes.builders import SETTINGS
from trfakes.play import Play

DENIED = 'FailedCreate: Error creating: pods "x" is forbidden: policy denied request: pods need the label cost-center'
LABELLED = replace(SETTINGS, run_pods=RunPods(labels={"cost-center": "42"}))


def refused(warning: str = DENIED) -> Play:
    """A run whose training gets no pod."""
    play = Play()
    assert play.play_to(Stage.TRAIN) == "tire-train-1"
    play.hints[play.jobs["tire-train-1"].uid] = warning
    play.step(10)
    return play


@pytest.mark.parametrize("warning", [DENIED, "FailedCreate: exceeded quota: team"], ids=["rule", "quota"])
def test_an_old_run_meets_a_new_rule_once_the_installer_has_set_the_label(warning: str) -> None:
    play = refused(warning)
    play.settings = LABELLED  # the operator was started again with other Helm values
    play.step(1)  # the Job without a pod goes first
    play.step(3)
    assert (list(play.jobs), play.created[-1]) == (["tire-train-2"], "tire-train-2")
    entry = next(entry for entry in play.status["attempts"] if entry["stage"] == "train")
    assert (entry["number"], "failures" in entry) == (2, False)
    assert any("is replaced: the operator's settings for pods have changed" in event.message for event in play.events)


def test_a_refused_attempt_is_replaced_once_for_a_change() -> None:
    play = refused()
    play.settings = LABELLED
    play.step(1)
    play.step(3)
    play.hints[play.jobs["tire-train-2"].uid] = DENIED
    for _ in range(5):
        play.step(60)
    assert list(play.jobs) == ["tire-train-2"]


def test_an_attempt_with_a_pod_is_left_alone_by_new_settings() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job)
    play.settings = LABELLED
    play.step(60)
    assert list(play.jobs) == [job]


def test_an_attempt_that_waits_for_something_else_is_left_alone_by_new_settings() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.settings = LABELLED
    play.step(60)
    assert list(play.jobs) == [job]


def test_a_job_whose_settings_are_unknown_is_replaced_once_a_minute_at_most() -> None:
    """Something in the cluster may remove annotations, and a Job of an earlier version has none."""
    play = refused()
    made = len(play.created)
    for _ in range(60):
        play.jobs = {name: replace(job, pod_settings="") for name, job in play.jobs.items()}
        play.hints.update((job.uid, DENIED) for job in play.jobs.values())
        play.step(5)
    assert 1 <= len(play.created) - made <= 5
