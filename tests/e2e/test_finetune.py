"""Fine-tuning from the weights of another run or of a model zoo archive works; other weights are refused.

The runs go on in parallel: a small network needs only one core. tests/trainer/test_tensorflow.py shows that
the same number of steps without pretrained weights learns almost nothing.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

import zoo
from trdemo.bucket import split_uri
from trdemo.follow import condition
from trdemo.installation import Installation, Object, tire_run
from trdemo.watched_run import WatchedRun

pytestmark = pytest.mark.node

STEPS = 30
VARIABLES = 143  # of the network
SECONDS = 600  # about a minute on an idle machine
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
def started(installation: Installation, watched_run: WatchedRun, vision: str) -> None:
    """Upload weights of every kind, and apply a run that starts from each."""
    _, export = split_uri(watched_run.status["export"]["uri"])
    files = {name: installation.bucket.read(f"{export}checkpoint/{name}") for name in (zoo.INDEX, zoo.DATA)}
    files["frozen_inference_graph.pb"] = installation.bucket.read(f"{export}frozen_inference_graph.pb")
    archives = {
        f"zoo/{NAME}.tar.gz": zoo.archive({**files, **dict.fromkeys(EXTRA, b"not looked at")}, folder=NAME),
        "zoo/notes.tar.gz": b"these are no weights",
        OTHER: zoo.zoo_archive(),
    }
    installation.bucket.put_all(archives.items())
    small = {"pod": {"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}}}
    for name, model in STARTS.items():
        quiet = {"enabled": False}
        run = tire_run(name, model=model, prep=small, train={**FEW, **small}, export=small, tensorboard=quiet)
        installation.apply(run, namespace=vision)


def scored(installation: Installation, name: str, namespace: str) -> Object:
    """Wait for the score of a run's training and delete the run; returns `status.training`."""
    status = installation.until(
        name,
        lambda s: condition(s, "Trained") == "True" or condition(s, "Finished") == "True",
        namespace=namespace,
        seconds=SECONDS,
        what="the end of training",
    )
    installation.target.kubectl("delete", "trainingrun", name, "-n", namespace, "--wait=false")
    assert condition(status, "Trained") == "True", status.get("message")
    training: Object = status["training"]
    return training


def test_an_archive_in_the_layout_of_the_zoo_is_a_head_start(
    installation: Installation, started: None, vision: str
) -> None:
    training = scored(installation, "tuned-zoo", vision)
    assert float(training["ap50"]) >= 0.5
    heads = "box heads (4 variables), class heads (4 variables), because an archive does not name its classes"
    assert training["restored"] == {"loaded": VARIABLES - 8, "total": VARIABLES, "startsAnew": heads}


def test_the_export_of_an_earlier_run_continues_with_every_variable(
    installation: Installation, watched_run: WatchedRun, started: None, vision: str
) -> None:
    status = installation.finished("tuned-run", namespace=vision, seconds=SECONDS)
    assert condition(status, "Succeeded") == "True", status.get("message")
    assert status["training"]["steps"] == STEPS
    assert status["training"]["restored"] == {"loaded": VARIABLES, "total": VARIABLES}
    assert float(status["export"]["ap50"]) >= 0.5
    nothing = "Training starts without pretrained weights: all 143 variables are random numbers."
    assert starts(installation, "tire", vision) == [nothing]
    everything = "Training starts from the export of TrainingRun tire: 143 of 143 variables loaded."
    assert starts(installation, "tuned-run", vision) == [everything]
    assert watched_run.status["training"]["restored"]["loaded"] == 0


def starts(installation: Installation, name: str, namespace: str) -> list[str]:
    """The messages of the Events that say what a run's training starts from."""
    about = f"involvedObject.name={name},reason=TrainingStarted"
    events = installation.target.kubectl("get", "events", "-n", namespace, "--field-selector", about, "-o", "json")
    return [event["message"] for event in json.loads(events)["items"]]


REFUSED = {
    "tuned-text": (
        "PretrainedUnusable",
        (
            "spec.model.pretrained: s3://detectors/zoo/notes.tar.gz is not a complete .tar.gz or .tar archive: "
            "truncated header. Create a new TrainingRun with another spec.model.pretrained.uri: a .tar.gz of the "
            "TensorFlow 1 detection model zoo, or the export folder of a run. If only the upload was broken, upload it "
            "again and raise spec.retry. "
        ),
    ),
    "tuned-other": (
        "PretrainedMismatch",
        (
            f"spec.model.pretrained: the weights in s3://detectors/{OTHER} have no variable below "
            "FeatureExtractor/MobilenetV1/, where ssd_mobilenet_v1_0.25_128 has its own; they are of ssd_inception_v2. "
            "Create a new TrainingRun with spec.model.network: ssd_inception_v2 (now ssd_mobilenet_v1_0.25_128); or, "
            "to keep the network, create a new TrainingRun with another spec.model.pretrained.uri. "
        ),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_weights_are_refused_before_training(
    installation: Installation, started: None, vision: str, name: str
) -> None:
    reason, message = REFUSED[name]
    status = installation.finished(name, namespace=vision, seconds=SECONDS)
    succeeded = next(c for c in status["conditions"] if c["type"] == "Succeeded")
    assert (succeeded["status"], succeeded["reason"]) == ("False", reason)
    assert succeeded["message"].partition("To create the new run: ")[0] == message
    assert [entry["stage"] for entry in status["attempts"] if entry.get("number")] == ["prep"]
