"""What people change in their second run, each with real pods and TensorFlow 1.14: continue, end early, configure.

The run `tire` is the first run; all others name it, or its folder in the bucket, or train on its images.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

import pytest

from trdemo.bucket import split_uri
from trdemo.follow import condition
from trdemo.installation import SMALL_PREP, Installation, Object, tire_run
from trdemo.watched_run import WatchedRun

pytestmark = pytest.mark.long

SECONDS = 900
SMALL = {"pod": {"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}}}
OFTEN = {"saveEverySteps": 25, "evalEverySteps": 25}
NMS = "model.ssd.post_processing.batch_non_max_suppression.iou_threshold"


def apply(installation: Installation, name: str, namespace: str, **parts: Any) -> None:
    """Apply a run like `tire`, with small requests and without TensorBoard."""
    spec: dict[str, Any] = {"prep": SMALL_PREP, "train": {}, "export": {}, "tensorboard": {"enabled": False}}
    for part, change in parts.items():
        spec[part] = {**spec.get(part, {}), **change} if isinstance(change, Mapping) else change
    for stage in ("train", "export"):
        spec[stage] = {**SMALL, **spec[stage]}
    installation.apply(tire_run(name, **spec), namespace=namespace)


def succeeded(installation: Installation, name: str, namespace: str) -> Object:
    status = installation.finished(name, namespace=namespace, seconds=SECONDS)
    assert condition(status, "Succeeded") == "True", status.get("message")
    return status


def refused(installation: Installation, name: str, namespace: str) -> tuple[str, str]:
    """Reason and message of a run that failed in preparation."""
    status = installation.finished(name, namespace=namespace, seconds=SECONDS)
    assert condition(status, "Succeeded") == "False", status
    assert [entry["stage"] for entry in status["attempts"] if entry.get("number")] == ["prep"]
    found = next(each for each in status["conditions"] if each["type"] == "Succeeded")
    return found["reason"], found["message"]


def reason(status: Object, kind: str) -> str:
    return str(next(each["reason"] for each in status["conditions"] if each["type"] == kind))


def folder_of(watched: WatchedRun) -> str:
    return split_uri(watched.status["storageURI"])[1]


def test_more_steps_go_on_where_the_first_run_ended(
    installation: Installation, watched_run: WatchedRun, vision: str
) -> None:
    apply(
        installation,
        "longer",
        vision,
        resumeFrom={"run": "tire"},
        train={"steps": 200, **OFTEN},
        export={"checkpoint": "latest"},
    )
    status = succeeded(installation, "longer", vision)
    assert status["training"]["resumedFromStep"] == 150
    assert (status["training"]["step"], status["training"]["stepsLost"]) == (200, 0)
    first = float(watched_run.status["export"]["ap50"])
    assert float(status["export"]["ap50"]) >= first - 0.1, (first, status["export"])


def test_a_run_goes_on_from_the_bucket_with_more_photos(
    installation: Installation, watched_run: WatchedRun, vision: str
) -> None:
    """As when the first run and its cluster are gone: only its folder in the bucket is named."""
    images = {key: installation.bucket.read(key) for key in installation.bucket.keys("tire/images/train/")}
    more = [(key.replace("tire/images", "more/images"), body) for key, body in images.items()]
    more += [
        (key.replace("tire/images/train/", "more/images/train/again_"), body) for key, body in list(images.items())[:8]
    ]
    installation.bucket.put_all(more)
    apply(
        installation,
        "more",
        vision,
        dataset={"train": {"uri": "more/images/train/"}},
        resumeFrom={"uri": folder_of(watched_run)},
        train={"steps": 170},
    )
    status = succeeded(installation, "more", vision)
    assert status["training"]["resumedFromStep"] == 150
    assert "data" in json.dumps(status["resumedFrom"]), status["resumedFrom"]


@pytest.mark.parametrize(
    ("name", "parts", "expected"),
    [
        ("other-class", {"dataset": {"classes": ["wheel"]}, "train": {"steps": 200}}, "ResumeFromOtherClasses"),
        ("too-few-steps", {"train": {"steps": 150}}, "ResumeFromStepsTooFew"),
        ("other-network", {"model": {"network": "ssd_mobilenet_v2"}, "train": {"steps": 200}}, "ResumeFromMismatch"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(
    installation: Installation, watched_run: WatchedRun, vision: str, name: str, parts: dict[str, Any], expected: str
) -> None:
    if name == "other-class":
        for key in installation.bucket.keys("tire/images/"):
            body = installation.bucket.read(key).replace(b"<name>tire</name>", b"<name>wheel</name>")
            installation.bucket.put_all([(key.replace("tire/", "wheel/"), body)])
        parts["dataset"] |= {
            "train": {"uri": "wheel/images/train/"},
            "eval": {"uri": "wheel/images/test/"},
        }
    apply(installation, name, vision, resumeFrom={"run": "tire"}, **parts)
    found, message = refused(installation, name, vision)
    assert found == expected, message


def test_weights_of_a_run_lose_nothing_in_the_first_step(
    installation: Installation, watched_run: WatchedRun, vision: str
) -> None:
    model = {"pretrained": {"run": "tire", "scope": "all"}}
    apply(installation, "same", vision, model=model, train={"steps": 1, "learningRate": 1e-7})
    status = succeeded(installation, "same", vision)
    restored = status["training"]["restored"]
    assert restored["loaded"] == restored["total"]
    assert float(status["export"]["ap50"]) >= float(watched_run.status["export"]["ap50"]) - 0.05


def test_training_ends_when_it_learns_no_more(installation: Installation, vision: str) -> None:
    stopping = {"patience": 2, "minDelta": 0.05}
    apply(installation, "patient", vision, train={"steps": 2000, "earlyStopping": stopping, **OFTEN})
    status = succeeded(installation, "patient", vision)
    assert (reason(status, "Trained"), reason(status, "Succeeded")) == ("EarlyStopped", "EarlyStopped")
    assert status["training"]["step"] < 1000
    assert status["export"]["checkpointStep"] == status["training"]["best"]["step"]


def test_training_ends_when_its_time_is_over(installation: Installation, vision: str) -> None:
    apply(installation, "brief", vision, train={"steps": 100000, "maxDuration": "20s", **OFTEN})
    status = succeeded(installation, "brief", vision)
    assert (reason(status, "Trained"), reason(status, "Succeeded")) == ("MaxDurationReached", "FinishedEarly")
    assert status["training"]["stoppedBy"] == "maxDuration"


def test_a_run_over_its_deadline_fails(installation: Installation, vision: str) -> None:
    apply(installation, "late", vision, train={"steps": 100000}, activeDeadlineSeconds=40)
    started = time.monotonic()
    status = installation.finished("late", namespace=vision, seconds=SECONDS)
    assert reason(status, "Succeeded") == "ActiveDeadlineExceeded"
    assert time.monotonic() - started < 90


def test_finish_before_training_waits_for_a_first_checkpoint(installation: Installation, vision: str) -> None:
    apply(installation, "at-once", vision, train={"steps": 5000}, finish=True)
    status = succeeded(installation, "at-once", vision)
    assert reason(status, "Succeeded") == "FinishedEarly"
    assert status["export"]["checkpointStep"] == status["training"]["step"] == 1


def test_fields_of_the_configuration_can_be_overridden(installation: Installation, vision: str) -> None:
    overrides = {NMS: 0.45, "train_config.gradient_clipping_by_norm": 10}
    steps = [{"name": "random_adjust_brightness"}, {"name": "random_vertical_flip"}]
    apply(
        installation,
        "override",
        vision,
        model={"overrides": overrides, "inputSize": 160, "maxDetections": 20},
        train={"steps": 60, "optimizer": "momentum", "learningRate": 0.02, "augmentation": steps, "seed": 7},
    )
    status = succeeded(installation, "override", vision)
    text = installation.bucket.read(f"{split_uri(status['storageURI'])[1]}pipeline.config").decode()
    for part in (
        "iou_threshold: 0.45",
        "height: 160",
        "max_total_detections: 20",
        "momentum_optimizer {",
        "random_vertical_flip {",
    ):
        assert part in text, text
    exported = split_uri(status["export"]["uri"])[1]
    assert installation.bucket.read(f"{exported}pipeline.config").decode() == text


@pytest.mark.parametrize("source", ["uri", "configMap"])
def test_a_configuration_of_ones_own_is_used(
    installation: Installation, watched_run: WatchedRun, vision: str, source: str
) -> None:
    own = installation.bucket.read(f"{folder_of(watched_run)}pipeline.config").decode()
    own = re.sub(r"max_negatives_per_positive: \d+", "max_negatives_per_positive: 5", own)
    if source == "uri":
        installation.bucket.put_all([("configs/tire.config", own.encode())])
        config: dict[str, Any] = {"uri": "configs/tire.config"}
    else:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tire-config", "namespace": vision}}
        installation.target.kubectl.apply({**body, "data": {"pipeline.config": own}})
        config = {"configMap": {"name": "tire-config"}}
    name = f"own-{source.lower()}"
    apply(installation, name, vision, model={"config": config}, train={"steps": 40})
    status = succeeded(installation, name, vision)
    text = installation.bucket.read(f"{split_uri(status['storageURI'])[1]}pipeline.config").decode()
    assert "max_negatives_per_positive: 5" in text
    assert "num_steps: 40" in text


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "owned-field": (
        {"model": {"overrides": {"train_config.batch_size": 4}}},
        "OverrideRefused",
        "spec.model.overrides: train_config.batch_size is set by the run itself",
    ),
    "unknown-field": (
        {"model": {"overrides": {"model.ssd.post_processing.batch_non_max_supression.iou_threshold": 0.4}}},
        "OverrideRefused",
        "batch_non_max_suppression",
    ),
    "other-config": (
        {"model": {"config": {"uri": "configs/tire.config"}, "network": "ssd_mobilenet_v2"}},
        "ModelConfigMismatch",
        "spec.model.config",
    ),
    "never-saved": (
        {"train": {"steps": 100, "saveEverySteps": 50}, "export": {"checkpoint": 75}},
        "ExportCheckpointNotFound",
        "spec.export.checkpoint",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_preparation(installation: Installation, vision: str, name: str) -> None:
    parts, expected, text = REFUSED[name]
    apply(installation, name, vision, **parts)
    found, message = refused(installation, name, vision)
    assert found == expected, message
    assert text in message
