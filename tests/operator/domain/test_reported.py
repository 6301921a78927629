"""The status stays small and within the schema, whatever pods report."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from trainingrun.api.names import Stage
from trainingrun.domain import reported
from trfakes.builders import a_run
from trfakes.fake_cluster import NUMBERS
from trfakes.play import Play
from trfakes.schema import crd_part, errors

LIMIT = 8 * 1024
URI = f"s3://{'b' * 63}/{'k' * 200}/"


def check(play: Play) -> None:
    assert errors(crd_part("status"), dict(play.status)) == []
    assert len(json.dumps(play.status, ensure_ascii=False, separators=(",", ":")).encode()) < LIMIT  # as it is stored


def test_every_status_of_a_whole_run_fits_the_schema() -> None:
    play = Play()
    play.step()
    check(play)
    for stage in Stage:
        job = f"tire-{stage}-1"
        play.start_pod(job, phase="Pending", scheduled_at="", containers={}, unschedulable="no node")
        play.step(10)
        check(play)
        pod = play.start_pod(job)
        play.progress = {
            "podUID": pod.uid,
            "phase": "training",
            "done": 50,
            "total": 150,
            "unit": "steps",
            "etaSeconds": 3661.5,
            "bytesPerSecond": 41_000_000,
            "updated": "2026-01-01T00:00:00.5+00:00",
            "source": "log",
            "step": 50,
            "steps": 150,
            "loss": 1.25,
            "checkpointStep": 50,
            "resumedFromStep": 25,
            "stepsLost": 3,
            "restored": {"loaded": 139, "total": 143, "startsAnew": "class heads (4 variables), because …" * 20},
            "ap50": 0.5,
            "mAP": 0.25,
            "storage": {"ready": True},
        }
        play.step(10)
        check(play)
        assert (play.status["progress"]["eta"], play.status["progress"]["rate"]) == ("1h01m", "41 MB/s")
        play.end_pod(job, "crash")
        play.step(1)
        check(play)
        play.step(20)
        play.end_pod(f"tire-{stage}-2")
        play.step(1)
        check(play)
    assert play.status["phase"] == "Succeeded"


GARBAGE: list[Any] = [
    None,
    "text",
    "x" * 90,
    -1,
    2**80,
    "\x1b[31m",
    math.nan,
    math.inf,
    True,
    [],
    ["xx"] * 7,
    {},
    {"a": 1},
]


@pytest.mark.parametrize("value", GARBAGE, ids=lambda value: repr(value)[:12])
def test_garbage_in_the_start_of_training_never_reaches_the_status(value: Any) -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    pod = play.start_pod(job)
    good = {"loaded": 139, "total": 143, "startsAnew": "class heads"}
    for name in good:
        start = {"restored": {**good, name: value}}
        play.progress = {"podUID": pod.uid, **start}
        play.step(5)
        check(play)
    play.end_pod(job, numbers={**NUMBERS[Stage.TRAIN], **start})
    play.step(5)
    check(play)
    assert play.condition("Trained")["status"] == "True"


@pytest.mark.parametrize("value", GARBAGE, ids=lambda value: repr(value)[:12])
def test_garbage_in_the_run_that_is_continued_never_reaches_the_status(value: Any) -> None:
    good = {"uri": "s3://detectors/runs/x/old-1/", "step": 50, "dataset": "Same"}
    for resumed in (value, *({**good, name: value} for name in good)):
        play = Play()
        play.step()
        play.end_pod("tire-prep-1", numbers={**NUMBERS[Stage.PREP], "resumedFrom": resumed})
        play.step(5)
        check(play)
        assert play.condition("Prepared")["status"] == "True"


@pytest.mark.parametrize("value", GARBAGE, ids=lambda value: repr(value)[:12])
def test_garbage_from_pods_never_reaches_the_status(value: Any) -> None:
    play = Play()
    fields = {name for numbers in NUMBERS.values() for name in numbers} | {
        "checkpointURI",
        "resumedFromStep",
        "restored",
    }
    bad = dict.fromkeys(fields, value)
    shown = ("phase", "done", "total", "unit", "etaSeconds", "bytesPerSecond", "updated", "storage")
    timings = dict.fromkeys(("fetch", "work", "ship"), value)
    play.step()
    for stage in Stage:
        job = f"tire-{stage}-1"
        pod = play.start_pod(job)
        play.progress = {**bad, **dict.fromkeys(shown, value), "podUID": pod.uid}
        play.step(5)
        check(play)
        play.progress = {"podUID": pod.uid, "storage": {"ready": False, "reason": value, "message": value}}
        play.step(5)
        check(play)
        play.end_pod(job, numbers=bad, timings=timings)
        play.step(5)
        check(play)
    assert play.status["phase"] == "Succeeded"


def test_a_number_that_no_float_holds_does_not_stop_the_operator() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    pod = play.start_pod(job)
    play.progress = {"podUID": pod.uid, "etaSeconds": 10**400, "loss": 10**400, "bytesPerSecond": 10**400}
    play.step(5)
    check(play)
    play.end_pod(job, timings={"fetch": 10**400}, numbers={**NUMBERS[Stage.TRAIN], "ap50": 10**400})
    play.step(5)
    check(play)
    assert play.condition("Trained")["status"] == "True"


def test_the_format_of_the_labels_shows_as_soon_as_it_is_known() -> None:
    play = Play()
    play.step()
    pod = play.start_pod("tire-prep-1")
    play.progress = {"podUID": pod.uid, "phase": "checking", "format": "coco (train), yolo (eval)"}
    play.step(5)
    check(play)
    assert play.status["dataset"] == {"format": "coco (train), yolo (eval)"}
    play.end_pod("tire-prep-1", numbers={**NUMBERS[Stage.PREP], "format": "coco"})
    play.step(5)
    assert play.status["dataset"]["format"] == "coco"


@pytest.mark.parametrize("value", [5, None, "", "x" * 41, ["coco"]])
def test_a_format_that_does_not_fit_is_left_out(value: object) -> None:
    assert reported.label(value) is None


def test_a_status_is_below_8_kib_at_its_worst() -> None:
    play = Play(a_run("r" * 40).spec(storage={"prefix": "p" * 100}))
    long = "the file " + "x" * 1491
    findings = {"topFindings": ["f" * 200] * 5, "reportURI": URI, "reportJSONURI": URI, "format": "f" * 40}
    play.step()
    for stage in Stage:
        for attempt in (1, 2, 3):
            play.end_pod(f"{'r' * 40}-{stage}-{attempt}", "crash", message=long, reason="R" * 64)
            play.step()
            play.step(600)
        if stage is Stage.EXPORT:
            play.end_pod(f"{'r' * 40}-{stage}-4", "storageRefused", message=long, hint=long[:600], reason="S" * 64)
        else:
            numbers = {**NUMBERS[stage], **findings, "checkpointURI": URI}
            play.end_pod(f"{'r' * 40}-{stage}-4", message=long, numbers=numbers)
        play.step()
        check(play)
    assert play.status["phase"] == "Failed"
    assert play.status["message"].endswith('\'{"spec":{"retry":1}}\'')
    assert play.condition("Succeeded")["message"] == play.status["message"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.3456, "2.346"),
        (0, "0.000"),
        (math.nan, "nan"),
        (1e300, "1" + "0" * 15),
        (10**400, None),
        ("1", None),
        (True, None),
    ],
)
def test_decimals_are_texts(value: object, text: str | None) -> None:
    found = reported.decimal(value)
    assert found == text or (text and len(text) == 16 and found is not None and len(found) == 16)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T02:00:00.123+02:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00", None),
        ("yesterday", None),
        (5, None),
        ("", None),
    ],
)
def test_moments_are_utc(value: object, text: str | None) -> None:
    assert reported.moment(value) == text
