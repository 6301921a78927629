"""Statuses that an older operator stored: unknown fields are kept, and known ones are used."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from trainingrun.api import clock
from trainingrun.api.names import Stage
from trfakes.builders import a_job, a_run
from trfakes.play import Play

BUCKET = "s3://detectors"
RUN = f"{BUCKET}/runs/default/tire-11111111"


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": "2025-12-31T23:00:00Z",
    }


# As version 0.1.0 wrote it while it trained, with a field that no version knows.
TRAINING: dict[str, Any] = {
    "observedGeneration": 1,
    "phase": "Training",
    "message": "Training 75/150 (50%)",
    "conditions": [
        condition("Accepted", "True", "Accepted", "The spec is valid and resolved."),
        condition("StorageReady", "True", "Usable", "Storage answers."),
        condition("Prepared", "True", "Completed", "Prepared 139 images."),
        condition("Trained", "False", "Running", "The attempt is running."),
        condition("Succeeded", "Unknown", "Running", "The run has not ended."),
        condition("Finished", "False", "Running", "The run has not ended."),
        condition("Calibrated", "True", "Written", "By an operator that knew more."),
    ],
    "progress": {
        "stage": "train",
        "updated": "2025-12-31T23:59:00Z",
        "done": 75,
        "total": 150,
        "unit": "steps",
        "percent": 50,
        "etaSeconds": 3,
        "eta": "3s",
        "source": "agent",
        "text": "Training 75/150 (50%)",
    },
    "storageURI": f"{RUN}/",
    "dataset": {
        "digest": "a" * 64,
        "format": "pascalVOC",
        "reused": False,
        "trainImages": 119,
        "evalImages": 20,
        "trainObjects": 136,
        "evalObjects": 24,
        "errors": 1,
        "warnings": 1,
        "infos": 0,
        "reportURI": f"{BUCKET}/datasets/{'a' * 64}/report.html",
        "reportJSONURI": f"{BUCKET}/datasets/{'a' * 64}/report.json",
        "topFindings": ["train: train_0003.jpg: ImageTruncated"],
        "sizes": {"small": 3},
    },
    "training": {"step": 75, "steps": 150, "loss": "0.013", "checkpointStep": 50, "checkpointURI": f"{RUN}/50/"},
    "attempts": [
        {"stage": "prep", "number": 1, "ended": 1, "lastOutcome": "succeeded", "lastReason": "Completed"},
        {"stage": "train", "number": 2, "ended": 1, "failures": {"interrupted": 1}, "checkpointStep": 50},
    ],
    "timings": [{"stage": "prep", "waitingSeconds": 0.0, "workSeconds": 8.5, "totalSeconds": 10.0}],
    "tensorboard": {"serviceName": "tire-tensorboard", "url": "http://tire-tensorboard.default.svc:6006/"},
    "retry": 0,
    "startedAt": "2025-12-31T22:59:00Z",
}


def stored(status: dict[str, Any]) -> Play:
    """A run that an older operator accepted, with this status; the second attempt of its training is running."""
    before = Play()
    before.step()
    play = Play(a_run().status(**copy.deepcopy(status)))
    play.document = before.document
    job = replace(a_job(Stage.TRAIN, 2), name="tire-train-2")
    play.jobs[job.name] = job
    return play


def test_a_stored_status_is_updated_and_unknown_fields_are_kept() -> None:
    play = stored(TRAINING)
    pod = play.start_pod("tire-train-2")
    play.progress = {"podUID": pod.uid, "phase": "training", "step": 100, "steps": 150, "checkpointStep": 100}
    decision = play.step()
    assert [*decision.create, *decision.create_optional, *decision.delete, *decision.draft.events] == []
    changed = {key for key in TRAINING if dict(play.status)[key] != TRAINING[key]}
    assert changed == {"message", "progress", "training", "attempts"}
    added = {"ranAt": clock.to_text(play.now), "jobUID": "job-train-2"}
    assert play.attempts("train") == {**TRAINING["attempts"][1], **added}
    assert dict(play.status).keys() == TRAINING.keys() | {"resolvedDigest"}
    assert play.status["training"] == {"step": 100, "steps": 150, "loss": "0.013", "checkpointStep": 100}


def test_counters_of_a_stored_status_are_continued() -> None:
    play = stored(TRAINING)
    play.end_pod("tire-train-2", "crash")
    play.step()
    assert play.attempts("train")["failures"] == {"interrupted": 1, "crash": 1}
    assert play.status["attempts"][0] == TRAINING["attempts"][0]
    play.step(600)
    assert play.created == ["tire-train-3"]


def test_a_status_of_a_finished_run_stays_as_it_is() -> None:
    ended = {
        **TRAINING,
        "phase": "Failed",
        "conditions": [
            *TRAINING["conditions"][:4],
            condition("Succeeded", "False", "Diverged", "The loss is nan at step 70."),
            condition("Finished", "True", "Failed", "The run has ended; see Succeeded."),
        ],
        "attempts": [TRAINING["attempts"][0], {**TRAINING["attempts"][1], "ended": 2}],
        "tensorboard": {**TRAINING["tensorboard"], "expiresAt": "2026-01-01T00:58:00Z"},
        "finishedAt": "2025-12-31T23:58:00Z",
    }
    play = stored(ended)
    play.jobs.clear()
    decision = play.step()
    assert play.status == ended
    assert [*decision.create, *decision.delete, *decision.delete_after_status] == []


def test_a_text_that_is_cut_says_so() -> None:
    play = Play()
    play.step()
    play.end_pod("tire-prep-1", message="word " * 250)
    play.step(1)
    assert play.condition("Prepared")["message"].endswith("…")
    assert play.attempts("prep")["lastMessage"].endswith("…")
