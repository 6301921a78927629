"""Lines of the log between two versions of a status: one for each end, refusal and change of a run, none for less."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trainingrun.api.names import Stage
from trainingrun.api.status import Status
from trainingrun.domain.changes import Line, ended_attempts, lines
from trfakes.builders import a_run
from trfakes.play import Play


def told(play: Play, act: Callable[[], Any]) -> list[str]:
    """Lines about what an act changes; another decision from the same facts adds none."""
    before = play.status
    act()
    after = play.status
    play.step()
    assert list(lines(after, play.status)) == []
    return [("WARNING " if line.bad else "") + line.text for line in lines(before, after)]


def test_a_run_without_failures_has_a_line_for_each_end() -> None:
    play = Play()
    assert told(play, play.step) == ["accepted"]
    end_of = {}
    for stage in Stage:
        play.end_pod(f"tire-{stage}-1", message=f"Did {stage}.")
        end_of[stage] = told(play, play.step)
    assert end_of == {
        Stage.PREP: ["attempt 1 of prep ended: succeeded (Completed), exit code 0: Did prep."],
        Stage.TRAIN: ["attempt 1 of train ended: succeeded (Completed), steps 0 to 150, exit code 0: Did train."],
        Stage.EXPORT: [
            "attempt 1 of export ended: succeeded (Completed), exit code 0: Did export.",
            "succeeded (Completed): Exported checkpoint 150 with AP@.5 0.912.",
        ],
    }


def test_an_interruption_names_its_node_and_its_steps() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job, node="gpu-1")
    numbers = {"step": 75, "resumedFromStep": 50, "checkpointStep": 75}
    play.end_pod(job, "interrupted", message="SIGTERM arrived.", numbers=numbers)
    (ended,) = told(play, play.step)
    known = "steps 50 to 75, exit code 1, node gpu-1: SIGTERM arrived."
    assert ended == f"WARNING attempt 1 of train ended: interrupted (Interrupted), {known}"


def test_a_failed_run_has_a_line_for_the_attempt_and_one_for_the_run() -> None:
    play = Play()
    play.step()
    play.end_pod("tire-prep-1", "userError", message="No images.")
    ended, failed = told(play, play.step)
    assert ended == "WARNING attempt 1 of prep ended: userError (UserError), exit code 1: No images."
    assert failed.startswith("WARNING failed (UserError): No images. ")
    play.spec(retry=1)
    assert told(play, play.step) == ["retried: spec.retry is 1"]


def test_a_refused_spec_is_told() -> None:
    play = Play(a_run().spec(train={"image": "evil.example/trainer:1"}))
    refused, failed = told(play, play.step)
    assert refused.startswith("WARNING not accepted (ForbiddenByPolicy): spec.train.image")
    assert failed.startswith("WARNING failed (ForbiddenByPolicy): ")


def test_waiting_for_another_run_is_no_trouble() -> None:
    play = Play(a_run().spec(model={"pretrained": {"run": "base"}}))
    (waits,) = told(play, play.step)
    assert waits.startswith("not accepted (PretrainedRunNotFound): ")


def test_a_pod_that_the_cluster_refuses_is_told_once() -> None:
    play = Play()
    play.step()
    play.hints = {"uid-tire-prep-1": "FailedCreate: exceeded quota: team"}
    (refused,) = told(play, lambda: play.step(10))
    assert refused.startswith("WARNING prep waits (QuotaExceeded): ")
    assert told(play, lambda: play.step(60)) == []


def test_suspension_and_resumption_are_told() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job)
    play.step(1)
    play.spec(suspend=True)
    assert told(play, lambda: play.step(1)) == []  # its pod saves a checkpoint
    play.end_pod(job, "interrupted", numbers={"step": 53, "checkpointStep": 53})
    ended, suspended = told(play, lambda: play.step(1))
    assert ended == "attempt 1 of train ended: suspended (Suspended), steps 0 to 53, exit code 1"
    assert suspended.startswith("suspended: ")
    play.pods.clear()
    play.spec(suspend=False)
    (resumed,) = told(play, lambda: play.step(1))
    assert resumed.startswith("resumed: ")


def test_progress_is_not_told() -> None:
    play = Play()
    pod = play.start_pod(play.play_to(Stage.TRAIN))
    play.step(1)
    play.progress = {"podUID": pod.uid, "phase": "training", "step": 53, "steps": 150, "checkpointStep": 50}
    assert told(play, lambda: play.step(5)) == []


def test_fields_name_what_a_line_is_about() -> None:
    play = Play()
    play.step()
    before = play.status
    play.end_pod("tire-prep-1", "crash", message="It broke.")
    play.step()
    (line,) = lines(before, play.status)
    fields = {"stage": "prep", "attempt": 1, "outcome": "crash", "reason": "Crash"}
    assert line == Line("attempt 1 of prep ended: crash (Crash), exit code 1: It broke.", bad=True, fields=fields)


@pytest.mark.parametrize("kept", [0, 1])
def test_an_end_that_the_status_has_no_room_for_counts_all_the_same(kept: int) -> None:
    ends: list[Any] = [{"number": 4, "outcome": "crash", "reason": "Crash"}][:kept]
    before: Status = {"attempts": [{"stage": "train", "number": 3, "ended": 2, "older": {"crash": 2}}]}
    last = {"lastOutcome": "crash", "lastReason": "Crash"}
    entry: Any = {"stage": "train", "number": 4, "ended": 4, "older": {"crash": 4 - kept}, "history": ends, **last}
    found = [(end["outcome"], end["reason"]) for _, end in ended_attempts(before, {"attempts": [entry]})]
    assert found == [("crash", "Crash")] * 2


def test_an_end_whose_history_comes_later_counts_then() -> None:
    """A suspension ends an attempt before its pod has said what it saved."""
    entry: Any = {"stage": "train", "number": 2, "ended": 2}
    before: Status = {"attempts": [entry]}
    end = {"number": 2, "outcome": "suspended", "reason": "Suspended"}
    after: Status = {"attempts": [entry | {"history": [end]}]}
    assert [found for _, found in ended_attempts(before, after)] == [end]
    assert list(ended_attempts(after, after)) == []


def test_attempts_that_were_never_created_do_not_end() -> None:
    """A retry takes the number of an attempt whose Job the API server called invalid."""
    before: Status = {"attempts": [{"stage": "prep", "number": 1}]}
    after: Status = {"attempts": [{"stage": "prep", "number": 1, "ended": 1}]}
    assert list(ended_attempts(before, after)) == []
