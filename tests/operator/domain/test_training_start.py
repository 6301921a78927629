"""What the status and one Event say that training starts from: weights, random numbers, or a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trainingrun.api.names import Stage
from trainingrun.domain.draft import Event
from trainingrun.domain.networks import NETWORKS
from trfakes.builders import a_run
from trfakes.fake_cluster import NUMBERS
from trfakes.play import Play

GUIDE = Path(__file__).parents[3] / "docs" / "user-guide.md"
ALL = {"loaded": 143, "total": 143}
HEADS = {
    "loaded": 139,
    "total": 143,
    "startsAnew": "class heads (4 variables), because the classes differ (a; there: b)",
}
HARDLY = {
    "loaded": 9,
    "total": 143,
    "startsAnew": "class heads (4 variables), feature extractor (126 of 135 variables)",
}
NOTHING = {"loaded": 0, "total": 143, "startsAnew": "all variables, because spec.model.pretrained is not set"}


def training(
    pretrained: dict[str, str] | None = None, *, network: str = "ssd_inception_v2", **train: Any
) -> tuple[Play, str]:
    """A run whose first attempt of training runs, and the name of its Job."""
    model = {"network": network, **({"pretrained": pretrained} if pretrained else {})}
    play = Play(a_run().spec(model=model, **({"train": train} if train else {})))
    old = Play(a_run("old"))
    old.end_pod(old.play_to(Stage.EXPORT))
    old.step(1)
    play.others["default/old"] = old.run
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job)
    return play, job


def report(play: Play, job: str, **fields: Any) -> None:
    """Let the agent report progress, and the operator read it."""
    play.progress = {"podUID": play.pods[job].uid, "phase": "training", **fields}
    play.step(2)


def starts(play: Play) -> list[Event]:
    return [event for event in play.events if event.reason == "TrainingStarted"]


@pytest.mark.parametrize(
    ("pretrained", "restored", "message"),
    [
        pytest.param(
            {"run": "old"},
            ALL,
            "Training starts from the export of TrainingRun old: 143 of 143 variables loaded.",
            id="all of a run",
        ),
        pytest.param(
            {"uri": "zoo/net.tar.gz"},
            HEADS,
            "Training starts from s3://detectors/zoo/net.tar.gz: 139 of 143 variables loaded; new: class heads "
            "(4 variables), because the classes differ (a; there: b).",
            id="a key",
        ),
        pytest.param(
            {"uri": "s3://zoo/net.tar.gz"},
            ALL,
            "Training starts from s3://zoo/net.tar.gz: 143 of 143 variables loaded.",
            id="an address",
        ),
        pytest.param(
            None,
            NOTHING,
            "Training starts without pretrained weights: all 143 variables are random numbers. Weights of this "
            "network, trained on COCO, are at http://download.tensorflow.org/models/object_detection/"
            "ssd_inception_v2_coco_2018_01_28.tar.gz: with them in spec.model.pretrained, a new run needs fewer steps "
            "and images.",
            id="nothing",
        ),
    ],
)
def test_status_and_one_event_say_how_many_variables_were_loaded(
    pretrained: dict[str, str] | None, restored: dict[str, Any], message: str
) -> None:
    play, job = training(pretrained)
    report(play, job, step=0)
    assert starts(play) == []
    for step in (1, 2):
        report(play, job, step=step, restored=restored)
    assert play.status["training"]["restored"] == restored
    assert starts(play) == [Event("Normal", "TrainingStarted", message)]
    play.end_pod(job, numbers={**NUMBERS[Stage.TRAIN], "restored": restored})
    play.step(1)
    assert play.status["training"]["restored"] == restored
    assert len(starts(play)) == 1


def test_a_start_that_no_progress_told_comes_with_the_verdict() -> None:
    play, job = training({"run": "old"})
    earlier = len(play.events)
    play.end_pod(job, numbers={**NUMBERS[Stage.TRAIN], "restored": HEADS})
    play.step(1)
    assert play.status["training"]["restored"] == HEADS
    assert [event.message.partition(";")[0] for event in starts(play)] == [
        "Training starts from the export of TrainingRun old: 139 of 143 variables loaded"
    ]
    assert play.events[earlier].reason == "TrainingStarted", "it comes before the end of the attempt"


def test_weights_of_which_hardly_any_fit_are_a_warning() -> None:
    play, job = training({"run": "old"})
    report(play, job, restored=HARDLY)
    assert [event.kind for event in starts(play)] == ["Warning"]


def test_every_attempt_that_resumes_says_from_which_checkpoint() -> None:
    play, job = training({"run": "old"})
    report(play, job, step=60, steps=150, restored=ALL)
    for number, step in ((2, 50), (3, 50), (4, 120)):
        play.end_pod(job, "crash")
        play.step(1)
        play.step(300)
        job = f"tire-train-{number}"
        assert "resumedFromStep" not in play.status["training"], "that was of the attempt before"
        play.start_pod(job)
        for seen in (step, step + 5):
            report(play, job, step=seen, steps=150, resumedFromStep=step)
        assert play.status["training"]["resumedFromStep"] == step
    assert play.status["training"]["restored"] == ALL
    assert [event.message for event in starts(play)][1:] == [
        "Training resumes from checkpoint 50 of 150 steps.",
        "Training resumes from checkpoint 50 of 150 steps.",
        "Training resumes from checkpoint 120 of 150 steps.",
    ]


def test_an_attempt_that_finds_no_checkpoint_starts_from_the_same_weights_without_another_event() -> None:
    play, job = training({"run": "old"})
    report(play, job, step=5, restored=ALL)
    play.end_pod(job, "crash")
    play.step(1)
    play.step(300)
    play.start_pod("tire-train-2")
    report(play, "tire-train-2", resumedFromStep=0, stepsLost=5)
    report(play, "tire-train-2", resumedFromStep=0, stepsLost=5, restored=ALL)
    assert len(starts(play)) == 1


def test_an_agent_of_an_earlier_release_reports_no_start() -> None:
    play, job = training({"run": "old"})
    report(play, job, step=5)
    play.end_pod(job)
    play.step(1)
    assert "restored" not in play.status["training"]
    assert starts(play) == []


@pytest.mark.parametrize(
    ("resume", "dataset", "message"),
    [
        (
            {"uri": "runs/x/old-1/"},
            "Same",
            "s3://detectors/runs/x/old-1/ with the same data set.",
        ),
        (
            {"uri": "runs/x/old-1/"},
            "Unknown",
            "s3://detectors/runs/x/old-1/; whether its data set was the same is not known.",
        ),
        (
            {"run": "old"},
            "Changed",
            "TrainingRun old; the data set has changed since then.",
        ),
    ],
    ids=["same", "unknown", "changed"],
)
def test_a_run_that_continues_another_says_so_until_it_has_a_checkpoint_of_its_own(
    resume: dict[str, str], dataset: str, message: str
) -> None:
    play = Play(a_run().spec(resumeFrom=resume))
    old = a_run("old").condition("Finished").status(phase="Succeeded", storageURI="s3://detectors/runs/x/old-1/")
    play.others["default/old"] = old.build()
    found = {"uri": "s3://detectors/runs/x/old-1/", "step": 50, "dataset": dataset}
    play.step()
    play.end_pod("tire-prep-1", numbers={**NUMBERS[Stage.PREP], "resumedFrom": found})
    play.step(1)
    play.start_pod("tire-train-1")
    report(play, "tire-train-1", step=50, steps=150, resumedFromStep=50)
    assert play.status["resumedFrom"] == found
    start = "Training resumes from checkpoint 50 of 150 steps, continuing"
    assert [event.message for event in starts(play)] == [f"{start} {message}"]
    report(play, "tire-train-1", step=75, steps=150, resumedFromStep=50, checkpointStep=75)
    play.end_pod("tire-train-1", "crash")
    play.step(1)
    play.step(300)
    play.start_pod("tire-train-2")
    report(play, "tire-train-2", step=76, steps=150, resumedFromStep=75, checkpointStep=75)
    assert [event.message for event in starts(play)][1:] == ["Training resumes from checkpoint 75 of 150 steps."]


@pytest.mark.parametrize(
    ("network", "steps", "said"),
    [
        ("faster_rcnn_resnet50", 999, "With fewer than 1000 steps"),
        ("faster_rcnn_inception_v2", 9999, "With fewer than 10000 steps"),
        ("rfcn_resnet101", 1000, ""),
        ("ssd_inception_v2", 10, ""),
    ],
)
def test_a_short_run_from_random_weights_says_that_its_batch_norm_is_not_trained(
    network: str, steps: int, said: str
) -> None:
    play, job = training(network=network, steps=steps)
    report(play, job, step=1, restored=NOTHING)
    (event,) = starts(play)
    sentence = f" {said}, batch normalization is not trained either: expect little of this run without weights."
    assert (sentence in event.message) == bool(said)
    assert ("batch normalization" in event.message) == bool(said)


def test_a_network_without_an_archive_is_announced_without_an_address() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job)
    report(play, job, step=1, restored=NOTHING)
    (event,) = starts(play)
    assert event.message == "Training starts without pretrained weights: all 143 variables are random numbers."


@pytest.mark.parametrize("network", NETWORKS)
def test_the_guide_names_the_archive_of_each_network(network: str) -> None:
    (row,) = (line for line in GUIDE.read_text().splitlines() if line.startswith(f"| `{network}` "))
    archive = NETWORKS[network].zoo
    assert f"`{archive}`" in row if archive else "_coco" not in row
