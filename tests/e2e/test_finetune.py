"""Weights of an earlier run, or of an archive in the model zoo's layout, are a head start; anything else is refused.

The runs go side by side: one core each is all that a small network needs. That as few steps from nothing learn next to
nothing is proven in tests/trainer/test_trainer_tensorflow.py.
"""

from __future__ import annotations

from typing import Any

import pytest

import zoo
from trdemo.bucket import split_uri
from trdemo.follow import condition
from trdemo.scene import Object, Scene, tire_run
from trdemo.watched import Watched

pytestmark = pytest.mark.node

STEPS = 30
SECONDS = 600  # alone they take about a minute
FEW = {"steps": STEPS, "saveEverySteps": STEPS, "evalEverySteps": STEPS, "learningRate": "0.005"}
OTHER = "zoo/ssd_inception_v2_coco_2018_01_28.tar.gz"
NAME = "ssd_mobilenet_v1_0.25_tires_2026_01_01"
EXTRA = ("checkpoint", "model.ckpt.meta", "pipeline.config", "saved_model/saved_model.pb", "saved_model/variables/none")
STARTS: dict[str, dict[str, Any]] = {
    "tuned-run": {"pretrained": {"run": "tire"}},
    "tuned-zoo": {"pretrained": {"uri": f"zoo/{NAME}.tar.gz"}},
    "tuned-text": {"pretrained": {"uri": "zoo/notes.tar.gz"}},
    "tuned-other": {"pretrained": {"uri": OTHER}},
}


@pytest.fixture(scope="module")
def started(scene: Scene, story: Watched, vision: str) -> None:
    """Weights of every kind in the bucket, and a run that starts from each."""
    _, export = split_uri(story.status["export"]["uri"])
    files = {name: scene.bucket.read(f"{export}checkpoint/{name}") for name in (zoo.INDEX, zoo.DATA)}
    files["frozen_inference_graph.pb"] = scene.bucket.read(f"{export}frozen_inference_graph.pb")
    archives = {
        f"zoo/{NAME}.tar.gz": zoo.archive({**files, **dict.fromkeys(EXTRA, b"not looked at")}, folder=NAME),
        "zoo/notes.tar.gz": b"these are no weights",
        OTHER: zoo.zoo_archive(),
    }
    scene.bucket.put_all(archives.items())
    small = {"pod": {"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}}}
    for name, model in STARTS.items():
        quiet = {"enabled": False}
        run = tire_run(name, model=model, prep=small, train={**FEW, **small}, export=small, tensorboard=quiet)
        scene.apply(run, namespace=vision)


def scored(scene: Scene, name: str, namespace: str) -> Object:
    """The training of a run as soon as it has its score; the run is deleted then."""
    status = scene.until(
        name,
        lambda s: condition(s, "Trained") == "True" or condition(s, "Finished") == "True",
        namespace=namespace,
        seconds=SECONDS,
        what="the end of training",
    )
    scene.place.kubectl("delete", "trainingrun", name, "-n", namespace, "--wait=false")
    assert condition(status, "Trained") == "True", status.get("message")
    training: Object = status["training"]
    return training


def test_an_archive_in_the_layout_of_the_zoo_is_a_head_start(scene: Scene, started: None, vision: str) -> None:
    assert float(scored(scene, "tuned-zoo", vision)["ap50"]) >= 0.5


def test_the_export_of_an_earlier_run_is_a_head_start(scene: Scene, started: None, vision: str) -> None:
    status = scene.finished("tuned-run", namespace=vision, seconds=SECONDS)
    assert condition(status, "Succeeded") == "True", status.get("message")
    assert status["training"]["steps"] == STEPS
    assert float(status["export"]["ap50"]) >= 0.5


REFUSED = {
    "tuned-text": (
        "PretrainedUnusable",
        (
            "spec.model.pretrained: s3://detectors/zoo/notes.tar.gz is not a complete .tar.gz or .tar archive: "
            "truncated header. Use a .tar.gz of the TensorFlow 1 detection model zoo, or a run's export folder. "
        ),
    ),
    "tuned-other": (
        "PretrainedMismatch",
        (
            f"spec.model.pretrained: the weights in s3://detectors/{OTHER} have no variable below "
            "FeatureExtractor/MobilenetV1/, where ssd_mobilenet_v1_0.25_128 has its own; they are of ssd_inception_v2. "
            "Create a new TrainingRun with weights of its model.network, or with the network of these weights. "
        ),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_weights_are_refused_before_training(scene: Scene, started: None, vision: str, name: str) -> None:
    reason, message = REFUSED[name]
    status = scene.finished(name, namespace=vision, seconds=SECONDS)
    told = next(c for c in status["conditions"] if c["type"] == "Succeeded")
    assert (told["status"], told["reason"]) == ("False", reason)
    assert told["message"].partition("To try again: ")[0] == message
    assert [entry["stage"] for entry in status["attempts"] if entry.get("number")] == ["prep"]
