"""An engineer ends a training that has learned enough: the best checkpoint is exported, and judged by the gate."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from trdemo.bucket import split_uri
from trdemo.follow import condition
from trdemo.installation import Installation, Object, tire_run

pytestmark = pytest.mark.node

SECONDS = 600  # about a minute on an idle machine
STEPS, EVERY = 800, 20
SMALL = {"pod": {"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}}}
GATE = {"minMAP": 0.999, "perClass": [{"class": "tire", "minAP50": 0.999}]}
"""Scores out of reach of a training that was ended early."""


@pytest.fixture(scope="module")
def finished(installation: Installation, vision: str) -> Object:
    """A run that was asked to finish after its second evaluation."""
    train = {"steps": STEPS, "saveEverySteps": EVERY, "evalEverySteps": EVERY, **SMALL}
    keep = {"keepCheckpoints": {"last": 2, "best": 1}}
    run = tire_run(
        "enough",
        prep=SMALL,
        train={**train, **keep},
        export={**SMALL, "gate": GATE},
        tensorboard={"enabled": False},
    )
    installation.apply(run, namespace=vision)
    installation.until(
        "enough",
        lambda status: status.get("training", {}).get("step", 0) > 6 * EVERY,
        namespace=vision,
        seconds=SECONDS,
        what="some evaluations",
    )
    installation.target.kubectl(
        "patch", "trainingrun", "enough", "-n", vision, "--type=merge", "-p", '{"spec":{"finish":true}}'
    )
    return installation.finished("enough", namespace=vision, seconds=SECONDS)


def test_the_run_succeeds_early(finished: Object) -> None:
    assert reason(finished, "Trained") == ("True", "FinishedEarly"), finished["message"]
    assert reason(finished, "Succeeded") == ("True", "FinishedEarly"), finished["message"]
    training = finished["training"]
    assert training["stoppedBy"] == "finish"
    assert training["step"] < training["steps"] == STEPS


def test_the_best_checkpoint_is_exported(installation: Installation, finished: Object) -> None:
    best, export = finished["training"]["best"], finished["export"]
    assert export["checkpointStep"] == best["step"], export
    assert export["checkpointReason"].startswith("best by mAP"), export
    # The exporter measures it anew, with the exported graph.
    assert float(export["mAP"]) == pytest.approx(float(best["mAP"]), abs=0.002)
    bucket, key = split_uri(export["uri"])
    assert bucket == installation.bucket.name
    assert json.loads(installation.bucket.read(f"{key}metrics.json"))["checkpointStep"] == best["step"]


def test_a_missed_gate_says_what_is_too_low(installation: Installation, finished: Object, vision: str) -> None:
    assert reason(finished, "Qualified") == ("False", "GateMissed")
    text = message(finished, "Qualified")
    scores = r"mAP 0\.\d{3} is below 0\.999; class 'tire': AP@\.5 0\.\d{3} is below 0\.999"
    assert re.search(rf"misses 2 scores of spec\.export\.gate: {scores}", text), text
    installation.target.kubectl(
        "wait", "trainingrun/enough", "-n", vision, "--for=condition=Qualified=False", "--timeout=5s"
    )


def test_the_bucket_keeps_what_the_run_asked_for(installation: Installation, finished: Object) -> None:
    _, folder = split_uri(finished["storageURI"])
    keys = installation.bucket.keys(f"{folder}train/")
    steps = {int(found[1]) for key in keys if (found := re.search(r"/checkpoints/(\d{8})/MANIFEST\.json$", key))}
    training = finished["training"]
    assert steps == set(training["keptCheckpoints"])
    assert {training["best"]["step"], training["step"]} <= steps
    assert len(steps) <= 3  # the last two and the best


def reason(status: Object, kind: str) -> tuple[str, str]:
    found = find(status, kind)
    return found["status"], found["reason"]


def message(status: Object, kind: str) -> str:
    return str(find(status, kind)["message"])


def find(status: Object, kind: str) -> dict[str, Any]:
    assert condition(status, kind), status
    return next(each for each in status["conditions"] if each["type"] == kind)
