"""The API as users see it: defaults, kubectl explain, get and apply, samples; and a strict status."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from trcluster.command import CommandError

pytestmark = pytest.mark.api

Body = dict[str, Any]
Sample = Callable[..., Body]
Kubectl = Callable[..., str]

SAMPLES = Path(__file__).resolve().parents[2] / "manifests" / "samples"
NAMESPACE = "trainingrun-api-tests"
STATUS = {
    "observedGeneration": 1,
    "phase": "Training",
    "message": "training",
    "progress": {"stage": "train", "done": 60, "total": 150, "text": "Training 60/150 (40%)", "eta": "4m"},
    "training": {"loss": "2.310", "checkpointStep": 50},
    "dataset": {"digest": "d" * 64, "format": "coco", "trainImages": 120},
    "export": {"mAP": "0.512"},
    "timings": [{"stage": "prep", "workSeconds": 1.5}],
    "conditions": [
        {
            "type": "Qualified",
            "status": "False",
            "reason": "GateMissed",
            "message": "AP@.5 0.6 < 0.8",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ],
}


def test_minimal_object_is_complete_with_defaults(sample: Sample, created: Callable[[Mapping[str, Any]], Body]) -> None:
    """The server fills in the defaults of the other fields."""
    assert created(sample("minimal"))["spec"] == {
        "storage": {
            "endpoint": "http://s3.storage:7070",
            "region": "us-east-1",
            "bucket": "detectors",
            "prefix": "",
            "credentials": {"secretName": "trainingrun-s3"},
            "outageToleranceSeconds": 3600,
        },
        "dataset": {
            "train": {"uri": "tire/images/train/", "format": "auto"},
            "eval": {"uri": "tire/images/test/", "format": "auto"},
            "classes": ["tire"],
            "maxBadFiles": "1%",
            "maxImageSide": 1024,
        },
        "model": {"network": "ssd_inception_v2"},
        "prep": {"scratch": "20Gi"},
        "train": {
            "steps": 20000,
            "gpus": 1,
            "stallSeconds": 1800,
            "metric": "mAP",
            "onDivergence": "Fail",
            "onOutOfMemory": "Fail",
            "keepCheckpoints": {"last": 3, "best": 1},
            "scratch": "20Gi",
        },
        "export": {"checkpoint": "best", "evalImages": 500, "scratch": "20Gi"},
        "finish": False,
        "suspend": False,
        "retry": 0,
        "tensorboard": {},  # the installer's defaults
    }


@pytest.mark.parametrize("name", sorted(path.stem for path in SAMPLES.glob("*.yaml")))
def test_sample_is_accepted(name: str, kubectl: Kubectl) -> None:
    """Samples pass strict validation: they have no unknown field."""
    answer = kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict"),
        *("--namespace", NAMESPACE, "--filename", str(SAMPLES / f"{name}.yaml")),
    )
    assert answer.strip().endswith("serverside-applied (server dry run)")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("trainingrun", "turns labelled images"),
        ("trainingrun.spec.storage", "credentials <Object> -required-"),
        ("trainingrun.spec.train.steps", "Default: 20000."),
        ("trainingrun.spec.model.network", "ENUM: ssd_inception_v2"),
        ("tr.spec.prep.pod.resources.requests.cpu", "CPU cores, such as 2 or 500m."),
        ("trainingrun.spec.train.earlyStopping", "patience <integer> -required-"),
        ("trainingrun.spec.export.checkpoint", "Default: best."),
        ("trainingrun.spec.finish", "succeeds with reason FinishedEarly"),
        ("trainingrun.status.conditions", "Finished (True when the run has"),
    ],
)
def test_kubectl_explain_documents(path: str, words: str, kubectl: Kubectl) -> None:
    """Users read the API in the terminal."""
    assert words in " ".join(kubectl("explain", path).split())


@pytest.fixture
def applied(sample: Sample, kubectl: Kubectl) -> Iterator[str]:
    """Name of an existing run with a status."""
    body = json.dumps(sample("minimal", {"metadata.name": "applied"}))
    kubectl("apply", "--server-side", "--namespace", NAMESPACE, "--filename", "-", stdin=body)
    _patch_status(kubectl, STATUS)
    yield "applied"
    kubectl("delete", "trainingrun", "applied", "--namespace", NAMESPACE)


def _patch_status(kubectl: Kubectl, status: Mapping[str, Any]) -> None:
    patch = json.dumps({"status": status})
    kubectl(
        *("patch", "trainingrun", "applied", "--namespace", NAMESPACE),
        *("--subresource=status", "--type=merge", "--patch", patch),
    )


def _read(kubectl: Kubectl, name: str) -> Body:
    return dict(yaml.safe_load(kubectl("get", "tr", name, "--namespace", NAMESPACE, "--output=json")))


def test_server_side_apply_again_changes_nothing(applied: str, sample: Sample, kubectl: Kubectl) -> None:
    """GitOps tools apply the same file again and again."""
    before = _read(kubectl, applied)["metadata"]["resourceVersion"]
    body = json.dumps(sample("minimal", {"metadata.name": applied}))
    kubectl("apply", "--server-side", "--namespace", NAMESPACE, "--filename", "-", stdin=body)
    assert _read(kubectl, applied)["metadata"]["resourceVersion"] == before


def test_kubectl_get_shows_how_far_it_is(applied: str, kubectl: Kubectl) -> None:
    """The columns of kubectl get, with and without -o wide."""
    plain = kubectl("get", "trainingruns", applied, "--namespace", NAMESPACE).splitlines()
    assert plain[0].split() == ["NAME", "PHASE", "PROGRESS", "ETA", "MAP", "AGE"]
    assert plain[1].split()[:-1] == ["applied", "Training", "Training", "60/150", "(40%)", "4m", "0.512"]
    wide = kubectl("get", "trainingruns", applied, "--namespace", NAMESPACE, "--output=wide").splitlines()
    assert wide[0].split()[6:] == ["LOSS", "CHECKPOINT", "IMAGES", "MODEL", "QUALIFIED", "MESSAGE"]
    assert wide[1].split()[-6:] == ["2.310", "50", "120", "ssd_inception_v2", "False", "training"]


def test_kubectl_wait_waits_for_a_run_that_no_operator_has_seen(sample: Sample, kubectl: Kubectl) -> None:
    """The guide's command, right after `kubectl apply`: without a status kubectl must wait, not fail."""
    body = json.dumps(sample("minimal", {"metadata.name": "unseen"}))
    kubectl("apply", "--server-side", "--namespace", NAMESPACE, "--filename", "-", stdin=body)
    with pytest.raises(CommandError, match="timed out waiting for the condition on trainingruns/unseen"):
        kubectl("wait", "--namespace", NAMESPACE, "--for=condition=Finished", "--timeout=1s", "trainingrun/unseen")
    kubectl("delete", "trainingrun", "unseen", "--namespace", NAMESPACE)


def test_status_is_strict(applied: str, kubectl: Kubectl) -> None:
    """Unknown fields of the status are dropped, and the status cannot be written with the spec."""
    _patch_status(kubectl, {"mood": "fine", "phase": "Exporting"})
    assert _read(kubectl, applied)["status"] == {**STATUS, "phase": "Exporting"}
    kubectl(
        *("patch", "trainingrun", applied, "--namespace", NAMESPACE, "--type=merge"),
        *("--patch", json.dumps({"status": {"phase": "Succeeded"}})),
    )
    assert _read(kubectl, applied)["status"]["phase"] == "Exporting"
