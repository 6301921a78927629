"""Simulated runs of an engineer in control: training that ends early, gates, deadlines, and recovery from failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from trainingrun.api.names import Stage
from trfakes.builders import RunBuilder, a_run
from trfakes.fake_cluster import NUMBERS
from trfakes.play import Play

BEST: Final = {"step": 90, "mAP": 0.612, "ap50": 0.896}
WHY: Final = "best by mAP: 0.612 at step 90; the last one, of step 120, has 0.548"
MISSED: Final = {"met": False, "missed": ["tire: AP@.5 0.610 < 0.800"], "missedCount": 1}
SAVED: Final = {"step": 80, "steps": 150, "checkpointStep": 80}


def training(builder: RunBuilder | None = None, *, step: int = 75) -> Play:
    """A run whose first attempt at training has reached a step."""
    play = Play(builder)
    pod = play.start_pod(play.play_to(Stage.TRAIN))
    play.progress = {"podUID": pod.uid, "phase": "training", "step": step, "steps": 150, "done": step, "total": 150}
    play.step(1)
    return play


def finishing() -> Play:
    """A run in training with `spec.finish`, whose attempt saves its checkpoint."""
    play = training()
    play.spec(finish=True)
    play.step(1)
    return play


def taken_back() -> Play:
    """A run whose `spec.finish` was true for a moment."""
    play = finishing()
    play.spec(finish=False)
    play.step(1)
    return play


def vanish(play: Play, job: str, outcome: str = "interrupted", **fields: Any) -> None:
    """End the pod of a deleted Job, which is removed from the API at once."""
    play.end_pod(job, outcome, **fields)
    play.change_pod(job, gone=True)
    play.step(1)


def stopped_by(field: str, **spec: Any) -> Play:
    """A whole run whose training ended early by this field of the spec."""
    play = training(a_run().spec(**spec))
    numbers = {**NUMBERS["train"], "step": 120, "checkpointStep": 120, "best": BEST, "stoppedBy": field}
    play.end_pod("tire-train-1", numbers=numbers)
    play.step(1)
    play.end_pod("tire-export-1", numbers={**NUMBERS["export"], "checkpointStep": 90, "checkpointReason": WHY})
    play.step(1)
    return play


def gated(gate: object, **bars: Any) -> Play:
    """A whole run whose export reports this of its gate."""
    play = training(a_run().spec(export={"gate": bars or {"minAP50": 0.8}}))
    play.end_pod("tire-train-1")
    play.step(1)
    play.end_pod("tire-export-1", numbers={**NUMBERS["export"], **({} if gate is None else {"gate": gate})})
    play.step(1)
    return play


def too_late() -> Play:
    """A run in training at its deadline."""
    play = training(a_run().spec(activeDeadlineSeconds=60))
    play.step(60)
    return play


def ignored() -> Play:
    """A run that has succeeded, whose `spec.finish` becomes true."""
    play = stopped_by("earlyStopping")
    play.spec(finish=True)
    play.step(1)
    return play


CASES: Final[Mapping[str, Callable[[], Play]]] = {
    "Finishing": finishing,
    "FinishTakenBack": taken_back,
    "FinishIgnored": ignored,
    "FinishedEarly": lambda: stopped_by("finish"),
    "EarlyStopped": lambda: stopped_by("earlyStopping"),
    "MaxDurationReached": lambda: stopped_by("maxDuration"),
    "GateMet": lambda: gated({"met": True, "missed": [], "missedCount": 0}),
    "GateMissed": lambda: gated(MISSED),
    "ActiveDeadlineExceeded": too_late,
}
