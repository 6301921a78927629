"""A TrainingRun cannot be changed after creation: each field is added, removed and changed on a real API server.

The cases come from the schema: a new field without a value here fails, and so does one that can be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.api

Body = dict[str, Any]
Sample = Callable[..., Body]
Change = Callable[[Body, Body], list[str]]

CRD = Path(__file__).resolve().parents[2] / "manifests" / "crd" / "trainingruns.trainingrun.dev.yaml"
FIXED = "cannot change after creation; create a new TrainingRun"
MUTABLE = {"suspend", "finish", "retry", "tensorboard", "ttlSecondsAfterFinished"}

# By the end of a field's path: the value at creation, and the value it is changed to.
VALUES: dict[str, tuple[Any, Any]] = {
    "endpoint": ("https://a.example.com", "https://b.example.com"),
    "region": ("eu-central-1", "eu-west-1"),
    "bucket": ("bucket-a", "bucket-b"),
    "prefix": ("team/a", "team/b"),
    "addressing": ("path", "virtual"),
    "caBundle": ({"configMapName": "a"}, {"configMapName": "b"}),
    "configMapName": ("a", "b"),
    "key": ("a.crt", "b.crt"),
    "credentials": ({"secretName": "trainingrun-a"}, {"serviceAccountName": "trainingrun-a"}),
    "secretName": ("trainingrun-a", "trainingrun-b"),
    "serviceAccountName": ("trainingrun-a", "trainingrun-b"),
    "roleARN": ("arn:aws:iam::1:role/a", "arn:aws:iam::1:role/b"),
    "stsEndpoint": ("https://sts.a.example.com", "https://sts.b.example.com"),
    "encryption": ({"type": "AES256"}, {"type": "aws:kms"}),
    "type": ("AES256", "aws:kms"),
    "kmsKeyId": ("alias/a", "alias/b"),
    "proxy": ("http://a.example.com:3128", "none"),
    "outageToleranceSeconds": (60, 120),
    "uri": ("a/", "b/"),
    "imageSet": ("a", "b"),
    "format": ("pascalVOC", "auto"),  # in this order, because setting the default is no change
    "classes": (["a", "b"], ["a", "c"]),
    "maxBadFiles": (5, 6),
    "maxImageSide": (640, 800),
    "intensityRange": ([0, 4095], [0, 16383]),
    "network": ("ssd_mobilenet_v1", "ssd_mobilenet_v2"),
    "pretrained": ({"uri": "a.tar"}, {"run": "a"}),
    "pretrained.uri": ("a.tar", "b.tar"),
    "scope": ("backbone", "all"),
    "sha256": ("0a" * 32, "0b" * 32),
    "resumeFrom": ({"uri": "a/"}, {"run": "a"}),
    "steps": (100, 200),
    "batchSize": (8, 16),
    "learningRate": (0.1, 0.2),
    "gpus": (0, 1),
    "image": ("a:1", "a:2"),
    "saveEverySteps": (10, 20),
    "evalEverySteps": (10, 20),
    "stallSeconds": (60, 120),
    "terminationGracePeriodSeconds": (60, 120),
    "metric": ("ap50", "mAP"),  # in this order, because setting the default is no change
    "earlyStopping": ({"patience": 1}, {"patience": 2}),
    "patience": (1, 2),
    "minDelta": (0.1, 0.2),
    "maxDuration": ("1h", "2h"),
    "onDivergence": ("Rollback", "Fail"),
    "onOutOfMemory": ("HalveBatch", "Fail"),
    "retries": ({"crash": 1}, {"crash": 2}),
    **dict.fromkeys(("interrupted", "crash", "stalled", "storageOutage", "outOfMemory"), (1, 2)),
    "keepCheckpoints": ({"last": 4}, {"last": 5}),
    "last": (4, 5),
    "best": (2, 4),
    "everyHours": (1, 2),
    "checkpoint": ("latest", 100),
    "gate": ({"minMAP": 0.1}, {"minMAP": 0.2}),
    "minMAP": (0.1, 0.2),
    "minAP50": (0.1, 0.2),
    "perClass": ([{"minMAP": 0.1}], [{"minMAP": 0.2}]),
    "scratch": ("30Gi", "40Gi"),
    "evalImages": (10, 20),
    "pod": ({"nodeSelector": {"a": "b"}}, {"nodeSelector": {"a": "c"}}),
    "resources": ({"requests": {"cpu": 1}}, {"requests": {"cpu": 2}}),
    "requests": ({"cpu": 1}, {"cpu": 2}),
    "requests.memory": ("8Mi", "9Mi"),
    "limits": ({"memory": "64Gi"}, {"memory": "65Gi"}),
    "limits.memory": ("64Gi", "65Gi"),
    "cpu": ("8", "9"),
    "nodeSelector": ({"a": "b"}, {"a": "c"}),
    "tolerations": ([{"key": "a"}], [{"key": "b"}]),
    "labels": ({"a": "b"}, {"a": "c"}),
    "train.labels": ({"uri": "a/"}, {"uri": "b/"}),
    "eval.labels": ({"uri": "a/"}, {"uri": "b/"}),
    "annotations": ({"a": "b"}, {"a": "c"}),
    "priorityClassName": ("a", "b"),
    "startDeadlineSeconds": (60, 120),
    "activeDeadlineSeconds": (60, 120),
    "train": ({"uri": "a/"}, {"uri": "b/"}),
    "eval": ({"uri": "a/"}, {"uri": "b/"}),
    "evalFraction": (0.1, 0.2),
    "splitSeed": (1, 2),
    "splitGroup": ("folder", "image"),
    "config": ({"uri": "a.config"}, {"uri": "b.config"}),
    "config.uri": ("a.config", "b.config"),
    "configMap": ({"name": "a"}, {"name": "b"}),
    "configMap.name": ("a", "b"),
    "overrides": ({"a.b": 0.5, "c": True}, {"a.b": 0.6, "c": True}),
    "inputSize": (256, 320),
    "maxDetections": (50, 60),
    "optimizer": ("adam", "momentum"),
    "seed": (2, 3),
    "augmentation": ([{"name": "a", "options": {"b": 0.1}}], [{"name": "a", "options": {"b": 0.2}}]),
    "focalLoss": ({"alpha": 0.5}, {"alpha": 0.6}),
    "alpha": (0.5, 0.6),
    "gamma": (1, 1.5),
    "classWeights": ({"dent": 2}, {"dent": 3}),
}
# Other fields that a field needs to be valid.
SHARE: Body = {"spec.dataset.eval": None, "spec.dataset.evalFraction": "0.1"}
IN_A_MAP: Body = {"spec.model.config.uri": None}
KEYLESS: Body = {
    "spec.storage.credentials.secretName": None,
    "spec.storage.credentials.serviceAccountName": "trainingrun-a",
}
AROUND: dict[str, Body] = {
    "spec.storage.encryption.type": {"spec.storage.encryption.kmsKeyId": None},
    "spec.storage.credentials.serviceAccountName": {"spec.storage.credentials.secretName": None},
    "spec.storage.credentials.roleARN": KEYLESS,
    "spec.storage.credentials.stsEndpoint": KEYLESS,
    "spec.dataset.classes": {"spec.export.gate": None},  # it names classes
    "spec.dataset.evalFraction": SHARE,
    "spec.dataset.splitSeed": SHARE,
    "spec.dataset.splitGroup": SHARE,
    "spec.model.config.configMap": IN_A_MAP,
    "spec.model.config.configMap.name": IN_A_MAP,
    "spec.model.config.configMap.key": {**IN_A_MAP, "spec.model.config.configMap.name": "a"},
    "spec.train.classWeights": {"spec.train.focalLoss": None},
    "spec.resumeFrom": {"spec.model.pretrained": None},
    "spec.resumeFrom.uri": {"spec.model.pretrained": None},
    **{
        f"spec.dataset.{split}.{field}": {f"spec.dataset.{split}.imageSet": None}
        for split in ("train", "eval")
        for field in ("labels", "labels.uri")
    },
}
# A rule, not the list of required fields, asks for one of two.
ONE_OF_TWO = {
    "spec.storage.credentials.secretName",
    "spec.storage.credentials.serviceAccountName",
    "spec.model.pretrained.uri",
    "spec.model.config.uri",
    "spec.resumeFrom.uri",
    "spec.model.config.configMap",
    "spec.dataset.eval",
    "spec.dataset.evalFraction",
}
# Of the groups only the fields are changed; `run` is the other branch of `pretrained`, tested there.
SKIPPED = {"storage", "dataset", "model", "spec.train", "prep", "export", "run"}


def _values(path: str) -> tuple[Any, Any]:
    *_, parent, name = path.split(".")
    return VALUES.get(f"{parent}.{name}") or VALUES[name]


def _with(path: str, value: Any) -> Body:
    """Changes to a sample that set a field to this value; None removes it."""
    return {**AROUND.get(path, {}), path: value}


def _fields(schema: Body, prefix: str) -> Iterator[tuple[str, bool]]:
    """Dotted path of each field that must not change, and whether it is required."""
    for name, field in schema.get("properties", {}).items():
        path = f"{prefix}.{name}"
        if prefix == "spec" and name in MUTABLE:
            continue
        if path not in SKIPPED and name not in SKIPPED:
            yield path, name in schema.get("required", ()) or path in ONE_OF_TWO
        yield from _fields(field, path)


SPEC = yaml.safe_load(CRD.read_text(encoding="utf-8"))["spec"]["versions"][0]["schema"]["openAPIV3Schema"][
    "properties"
]["spec"]
FIELDS = list(_fields(SPEC, "spec"))


@pytest.mark.parametrize("path", [path for path, _ in FIELDS])
def test_field_cannot_be_given_another_value(path: str, sample: Sample, change_refusals: Change) -> None:
    """Both values are valid at creation; going from one to the other is refused."""
    first, second = _values(path)
    refused = change_refusals(sample("full", _with(path, first)), sample("full", _with(path, second)))
    assert any(FIXED in each for each in refused), refused


@pytest.mark.parametrize("path", [path for path, required in FIELDS if not required])
def test_optional_field_cannot_be_added(path: str, sample: Sample, change_refusals: Change) -> None:
    """Setting a field that was unset (or had its default) is a change too."""
    value, _ = _values(path)
    refused = change_refusals(sample("full", _with(path, None)), sample("full", _with(path, value)))
    assert any(FIXED in each for each in refused), refused


@pytest.mark.parametrize("path", [path for path, required in FIELDS if not required])
def test_optional_field_cannot_be_removed(path: str, sample: Sample, change_refusals: Change) -> None:
    """Removing a field leaves it unset or with its default, which is a change too."""
    value, _ = _values(path)
    refused = change_refusals(sample("full", _with(path, value)), sample("full", _with(path, None)))
    assert any(FIXED in each for each in refused), refused


TENSORBOARD_POD = {"spec.tensorboard.pod": {"labels": {"a": "b"}}}
REFUSED_ALSO = [
    pytest.param(TENSORBOARD_POD, FIXED, id="pod of TensorBoard"),
    pytest.param({"spec.dataset.classes": ["dent", "scratch"]}, FIXED, id="classes in another order"),
    pytest.param(SHARE, FIXED, id="a folder to a share"),
    pytest.param({"spec.retry": 0}, "spec.retry can only be raised", id="retry lowered"),
    pytest.param({"spec.retry": None}, "spec.retry can only be raised", id="retry removed"),
    pytest.param({"spec": None}, "Required value", id="spec removed"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED_ALSO)
def test_change_is_refused(change: Body, message: str, sample: Sample, change_refusals: Change) -> None:
    """Cases that are not generated."""
    refused = change_refusals(sample("full", {"spec.retry": 1}), sample("full", {"spec.retry": 1, **change}))
    assert any(message in each for each in refused), refused


@pytest.mark.parametrize("change", [None, {"labels": {"a": "c"}}], ids=["removed", "changed"])
def test_the_pod_of_tensorboard_stays_as_it_was_accepted(
    change: Body | None, sample: Sample, change_refusals: Change
) -> None:
    refused = change_refusals(sample("full", TENSORBOARD_POD), sample("full", {"spec.tensorboard.pod": change}))
    assert any(FIXED in each for each in refused), refused
    kept = {**TENSORBOARD_POD, "spec.tensorboard.enabled": False}
    assert change_refusals(sample("full", TENSORBOARD_POD), sample("full", kept)) == []


def test_a_share_cannot_become_a_folder(sample: Sample, change_refusals: Change) -> None:
    """The reverse change is one of the cases above."""
    refused = change_refusals(sample("full", SHARE), sample("full"))
    assert any(FIXED in each for each in refused), refused


ALLOWED = [
    {},
    {"spec.suspend": True},
    {"spec.finish": True},
    {"spec.finish": None},
    {"spec.retry": 1},
    {"spec.retry": 7},
    {"spec.tensorboard": {"enabled": False}},
    {"spec.tensorboard": None},
    {"spec.tensorboard.ttlSecondsAfterFinished": 0},
    {"spec.ttlSecondsAfterFinished": None},
    {"spec.ttlSecondsAfterFinished": 0},
]


@pytest.mark.parametrize("change", ALLOWED, ids=str)
def test_what_may_change_changes(change: Body, sample: Sample, change_refusals: Change) -> None:
    """The five fields that may change, and an update without any change."""
    assert change_refusals(sample("full"), sample("full", change)) == []


def test_defaults_written_out_are_no_change(sample: Sample, change_refusals: Change) -> None:
    """GitOps tools write back fields that the server added."""
    written_out = {"spec.train.steps": 20000, "spec.prep": {"scratch": "20Gi"}, "spec.storage.prefix": ""}
    assert change_refusals(sample("minimal"), sample("minimal", written_out)) == []
