"""Status and Events while data is prepared, and when it has been prepared."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun.api.names import Stage
from trainingrun.domain import reported
from trainingrun.domain.quantities import counted, duration, size
from trfakes.fake_cluster import NUMBERS
from trfakes.play import Play
from trfakes.schema import contract_part, crd_part, errors


def shown(**progress: Any) -> Play:
    """Simulate a run whose prep pod reports this progress."""
    play = Play()
    play.step()
    pod = play.start_pod("tire-prep-1")
    play.progress = {"podUID": pod.uid, **progress}
    play.step(1)
    assert errors(crd_part("status"), dict(play.status)) == []
    return play


IMAGES = {"done": 4550, "total": 14000, "unit": "images"}
BYTES = {"done": 1_190_000_000, "total": 2_340_000_000, "unit": "bytes"}
TEXTS: dict[str, tuple[dict[str, Any], str]] = {
    "listing begins": ({"phase": "listing"}, "Preparing: listing"),
    "listing": ({"phase": "listing", "done": 12000, "unit": "files"}, "Preparing: listing 12 000 files"),
    "listing what is counted": (
        {"phase": "listing", "done": 1, "total": 4, "unit": "files"},
        "Preparing: listing 1/4 files",
    ),
    "reading": ({"phase": "reading", **BYTES}, "Preparing: reading labels 1.2/2.3 GB"),
    "pairing": ({"phase": "pairing", **IMAGES}, "Preparing: matching images and labels 4550/14000 images"),
    "pairing what is not counted before": (
        {"phase": "pairing", "done": 12000, "unit": "files"},
        "Preparing: matching images and labels 12 000 files",
    ),
    "comparing": (
        {"phase": "comparing", **IMAGES, "percent": 99},
        "Preparing: looking for duplicates 4550/14000 images",
    ),
    "reporting": ({"phase": "reporting", **IMAGES, "percent": 99}, "Preparing: drawing the report 4550/14000 images"),
    "checking": ({"phase": "checking", **IMAGES}, "Preparing 4550/14000 images (32%)"),
    "writing": ({"phase": "writing", **BYTES}, "Preparing: writing 1.2/2.3 GB"),
    "writing images": ({"phase": "writing", **IMAGES}, "Preparing: writing 4550/14000 images"),
    "fetching weights": ({"phase": "fetching", **BYTES}, "Preparing: fetching 1.2/2.3 GB"),
    "checking, by a newer agent": ({"phase": "checking", **IMAGES, "percent": 33}, "Preparing 4550/14000 images (33%)"),
    "the end": ({"phase": "done", "percent": 100}, "Preparing: ending"),
    "nothing to write": ({"phase": "writing", "done": 0, "total": 0, "unit": "bytes"}, "Preparing: writing"),
}


@pytest.mark.parametrize(("progress", "text"), TEXTS.values(), ids=TEXTS)
def test_each_phase_of_preparation_is_named(progress: dict[str, Any], text: str) -> None:
    play = shown(**progress)
    assert (play.status["progress"]["text"], play.status["message"]) == (text, text)


EVALUATING = {"phase": "evaluating", "step": 75, "steps": 150, "done": 12, "total": 20, "unit": "images"}
FETCHING = {"phase": "fetching", **BYTES, "bytesPerSecond": 41_000_000}
PERCENTAGES: dict[str, tuple[Stage, dict[str, Any], tuple[int | None, str | None, str]]] = {
    "an evaluation": (
        Stage.TRAIN,
        {**EVALUATING, "percent": 50, "etaSeconds": 250},
        (50, "4m10s", "Training 75/150 (50%), evaluating 12/20 images (60%)"),
    ),
    "an evaluation, by an agent of 0.1": (
        Stage.TRAIN,
        {**EVALUATING, "etaSeconds": 99_000},
        (50, None, "Training 75/150 (50%), evaluating 12/20 images (60%)"),
    ),
    "the last evaluation": (
        Stage.TRAIN,
        {**EVALUATING, "step": 150, "percent": 99, "etaSeconds": 44},
        (99, "44s", "Training 150/150 (99%), evaluating 12/20 images (60%)"),
    ),
    "a save": (
        Stage.TRAIN,
        {"phase": "saving", "step": 75, "steps": 150, "percent": 50, "etaSeconds": 44},
        (50, "44s", "Training 75/150 (50%)"),
    ),
    "the graph of a network that was measured": (
        Stage.TRAIN,
        {"phase": "building"},
        (None, None, "Training: building the graph (about 11 s for ssd_mobilenet_v1_0.25_128)"),
    ),
    "an exporter that starts": (
        Stage.EXPORT,
        {"phase": "waitingForTrainer"},
        (None, None, "Exporting: waiting for TensorFlow"),
    ),
    "a training that is uploaded": (Stage.TRAIN, {"phase": "shipping"}, (None, None, "Training: uploading")),
    "before the first step": (Stage.TRAIN, FETCHING, (None, None, "Training: fetching 1.2/2.3 GB")),
    "an upload, by an agent of 0.1": (
        Stage.PREP,
        {"phase": "writing", **BYTES, "etaSeconds": 7},
        (None, None, "Preparing: writing 1.2/2.3 GB"),
    ),
    "an upload": (
        Stage.PREP,
        {"phase": "writing", **BYTES, "percent": 99, "etaSeconds": 7},
        (99, "7s", "Preparing: writing 1.2/2.3 GB"),
    ),
    "an inference": (
        Stage.EXPORT,
        {"phase": "inferring", "done": 10, "total": 20, "unit": "images"},
        (50, None, "Exporting 10/20 images (50%)"),
    ),
}


@pytest.mark.parametrize(("stage", "report", "expected"), PERCENTAGES.values(), ids=PERCENTAGES)
def test_percentage_and_time_left_are_those_of_the_stage(
    stage: Stage, report: dict[str, Any], expected: tuple[int | None, str | None, str]
) -> None:
    play = Play()
    play.progress = {"podUID": play.start_pod(play.play_to(stage)).uid, **report}
    play.step(1)
    shown = play.status["progress"]
    assert errors(crd_part("status"), dict(play.status)) == []
    assert (shown.get("percent"), shown.get("eta"), shown["text"]) == expected


def test_the_rate_is_shown_but_not_in_the_column() -> None:
    play = shown(phase="checking", **IMAGES, bytesPerSecond=41_234_567, etaSeconds=250)
    progress = play.status["progress"]
    assert (progress["rate"], progress["eta"]) == ("41 MB/s", "4m10s")
    assert progress["text"] == "Preparing 4550/14000 images (32%)"
    assert play.status["message"] == "Preparing 4550/14000 images (32%), 41 MB/s"


def test_without_a_rate_there_is_none() -> None:
    assert "rate" not in shown(phase="checking", **IMAGES).status["progress"]


@pytest.mark.parametrize("value", [None, True, -1, float("nan"), float("inf"), "41", []])
def test_a_rate_that_is_no_number_is_left_out(value: object) -> None:
    assert reported.rate(value) is None


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.6, "1.0 kB"),
        (1000, "1.0 kB"),
        (9_940, "9.9 kB"),
        (9_960, "10 kB"),
        (999_400, "999 kB"),
        (999_600, "1.0 MB"),
        (41_234_567, "41 MB"),
        (2.5e9, "2.5 GB"),
        (2**53, "9007 TB"),
    ],
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(59.9, "59s"), (250, "4m10s"), (11100, "3h05m"), (187200, "2d4h")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 errors"), (1, "1 error"), (999, "999 errors"), (1234567, "1 234 567 errors")]
)
def test_counts(number: int, text: str) -> None:
    assert counted(number, "error") == text


def prepared(**numbers: Any) -> list[str]:
    """Messages of the Events `Prepared` of a run whose preparation ended with these numbers."""
    known = {**NUMBERS[Stage.PREP], **numbers}
    play = Play()
    play.step()
    play.end_pod("tire-prep-1", numbers={name: value for name, value in known.items() if value is not None})
    play.step(1)
    play.step(1)
    return [event.message for event in play.events if event.reason == "Prepared"]


FOUND = {"trainImages": 300, "evalImages": 60, "trainObjects": 4000, "evalObjects": 886, "errors": 2, "warnings": 11}
ONES = {"trainImages": 1, "evalImages": 0, "trainObjects": 1, "evalObjects": 0, "errors": 1, "warnings": 1}
COUNTS = "360 images, 4 886 objects, 2 errors, 11 warnings"
REPORT = f"Report: {NUMBERS[Stage.PREP]['reportURI']}"
EVENTS: dict[str, tuple[dict[str, Any], str]] = {
    "the usual": (
        FOUND,
        f"{COUNTS} (300 train and 60 eval images, pascalVOC labels). {REPORT}",
    ),
    "one of each": (
        ONES,
        f"1 image, 1 object, 1 error, 1 warning (1 train and 0 eval images, pascalVOC labels). {REPORT}",
    ),
    "prepared before": (
        {**FOUND, "reused": True},
        f"{COUNTS} (300 train and 60 eval images, pascalVOC labels, prepared before). {REPORT}",
    ),
    "only counts": (
        {**FOUND, "format": None, "reportURI": None},
        f"{COUNTS} (300 train and 60 eval images).",
    ),
    "the address is too long": (
        {**FOUND, "reportURI": "s3://b/" + "k" * 1000},
        f"{COUNTS} (300 train and 60 eval images, pascalVOC labels).",
    ),
    "no counts": ({"errors": None}, "prep ended with succeeded."),
}


@pytest.mark.parametrize(("numbers", "message"), EVENTS.values(), ids=EVENTS)
def test_one_event_describes_the_data_set(numbers: dict[str, Any], message: str) -> None:
    assert prepared(**numbers) == [message]


def test_the_status_says_where_the_reports_are() -> None:
    numbers = dict(NUMBERS[Stage.PREP])
    assert errors(contract_part("verdict", "prep"), numbers) == []
    play = Play()
    play.step()
    play.end_pod("tire-prep-1", numbers=numbers)
    play.step(1)
    data_set = play.status["dataset"]
    assert (data_set["reportURI"], data_set["reportJSONURI"]) == (numbers["reportURI"], numbers["reportJSONURI"])
    assert (data_set["errors"], data_set["warnings"], data_set["infos"]) == (0, 1, 2)


def test_an_amount_of_an_unknown_unit_leaves_no_space() -> None:
    play = shown(phase="checking", done=17, total=1000, unit="eggs")
    assert play.status["message"] == "Preparing 17/1000 (1%)"
