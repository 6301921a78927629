"""A Job is an attempt by its UID in the status, or because its pod would be the operator's; by nothing else."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from trainingrun.api.names import Stage
from trainingrun.domain.observe import JobView, PodView
from trfakes.builders import a_job, a_pod
from trfakes.play import Play

EVIL = {"template": {"spec": {"containers": [{"name": "agent", "image": "evil:1"}]}}}


def forge(play: Play, job: JobView) -> None:
    play.jobs[job.name] = job
    play.specs[job.uid] = EVIL


def test_the_uid_of_a_job_is_written_with_its_number_and_goes_with_its_end() -> None:
    play = Play()
    play.step()
    assert (play.attempts("prep")["number"], play.attempts("prep")["jobUID"]) == (1, "uid-tire-prep-1")
    play.end_pod("tire-prep-1", "crash")
    play.step(1)
    assert "jobUID" not in play.attempts("prep")
    play.step(20)
    assert play.attempts("prep")["jobUID"] == "uid-tire-prep-2"


def test_a_job_put_in_the_place_of_the_runs_own_proves_nothing() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    forge(play, replace(play.jobs.pop(job), uid="forged"))
    play.end_pod(job)  # with a verdict of success
    play.step(1)
    assert play.condition("Trained")["status"] == "False"
    assert play.attempts("train")["lastReason"] == "JobGone"
    play.step(1)
    assert play.created[-1] == "tire-train-2"


def test_a_pod_that_names_another_job_as_its_owner_proves_nothing() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job)
    play.end_pod(job)
    play.change_pod(job, job_uid="forged")
    play.jobs[job] = replace(play.jobs[job], finished="")
    play.step(1)
    assert play.condition("Trained")["status"] == "False"


def test_a_job_whose_status_patch_was_lost_is_believed_for_its_template_alone() -> None:
    play = Play()
    before = play.run
    play.step()
    play.run = before
    play.step(1)
    assert play.attempts("prep")["jobUID"] == "uid-tire-prep-1"
    assert play.created == ["tire-prep-1"]


def test_a_forged_job_is_never_the_next_attempt_and_its_pod_holds_nothing_back() -> None:
    """Its creation fails then, which names the Job: tests/operator/whole/test_forged.py."""
    play = Play()
    forge(play, a_job(uid="forged"))
    play.lingering.append(a_pod(job_uid="forged", phase="Running"))
    play.step()
    assert play.created == ["tire-prep-1"]


def test_jobs_of_attempts_to_come_are_ignored() -> None:
    play = Play()
    for attempt in (2, 7, 999_999_999):
        forge(play, a_job(attempt=attempt, uid=f"forged-{attempt}"))
    play.step()
    assert play.created == ["tire-prep-1"]
    assert play.attempts("prep")["number"] == 1


def test_a_uid_that_an_older_operator_left_behind_is_replaced() -> None:
    """It starts attempt 2 and keeps the fields that it does not know, with the UID of attempt 1 and when that ran."""
    play = Play()
    play.start_pod(play.play_to(Stage.TRAIN))
    play.step(1)
    play.lingering.clear()
    del play.pods["tire-train-1"]
    status: Any = copy.deepcopy(play.run.status)
    status["attempts"][1] |= {"number": 2, "ended": 1}
    play.run = replace(play.run, status=status)
    play.jobs["tire-train-2"] = a_job(Stage.TRAIN, 2)
    play.step()
    assert play.attempts("train")["jobUID"] == "job-train-2"
    assert "ended" in play.attempts("train")
    assert "ranAt" not in play.attempts("train"), "TensorBoard would come before the trainer, and no deadline would end"
    play.end_pod("tire-train-2")
    play.step(1)
    assert play.condition("Trained")["status"] == "True"


def labelled(attempt: str, name: str = "tire-prep-1") -> dict[str, Any]:
    labels = {"run": "tire", "run-uid": "u", "stage": "prep", "attempt": attempt}
    named = {f"trainingrun.dev/{key}": value for key, value in labels.items()}
    return {"metadata": {"namespace": "default", "name": name, "uid": "x", "labels": named}}


def test_a_label_that_is_no_number_of_an_attempt_makes_no_view() -> None:
    assert JobView.from_object(labelled("1")) is not None
    for attempt in ("99999999999999999999", "1000000000", "0", "-1", "+1", "1_0", "01", " 1", "\u0661", "x", ""):
        assert JobView.from_object(labelled(attempt)) is None, attempt
        assert PodView.from_object(labelled(attempt)) is None, attempt


def test_a_job_whose_name_is_not_that_of_its_attempt_makes_no_view() -> None:
    assert JobView.from_object(labelled("2")) is None
    assert JobView.from_object(labelled("1", "cron-1")) is None
