"""What resolved.json says of model, training and export, as frozen dataclasses, and how `config` reads them.

Invariant: a document of an earlier version lacks the fields that came later, and then means what that version did: the
latest checkpoint is exported, and none is ever deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final, Literal

from trainingrun_agent import bounded_json

Metric = Literal["mAP", "ap50"]
Scope = Literal["auto", "backbone", "all"]
Checkpoint = Literal["best", "latest"] | int


@dataclass(frozen=True)
class Uri:
    """An object, or a prefix when `key` ends in a slash."""

    bucket: str
    key: str

    def same_as(self, other: Uri) -> bool:
        """Whether both name the same object or folder."""
        return (self.bucket, self.key) == (other.bucket, other.key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Pretrained:
    """spec.model.pretrained: weights at `uri`, or an archive at the address `url`; `sha256` is that of the archive.

    No connection for `url` is made to `refused_networks`.
    """

    uri: Uri | None
    url: str | None = None
    sha256: str | None = None
    scope: Scope = "auto"
    refused_networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def __str__(self) -> str:
        return str(self.uri or self.url)


@dataclass(frozen=True)
class ConfigMapKey:
    """A key of a ConfigMap in the run's namespace."""

    name: str
    key: str


@dataclass(frozen=True)
class Model:
    """spec.model; `config` is the user's own pipeline.config, `overrides` are values as texts, by field path."""

    network: str
    pretrained: Pretrained | None
    input_size: int | None = None
    max_detections: int | None = None
    config: Uri | ConfigMapKey | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Augmentation:
    """A preprocessing step by its name in the API's preprocessor.proto; `options` are values as texts, by field."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FocalLoss:
    """Parameters of the focal loss (Lin et al., 2017), as decimal strings."""

    alpha: str
    gamma: str


@dataclass(frozen=True)
class EarlyStopping:
    """Training ends after `patience` evaluations without one that is better by more than `min_delta`."""

    patience: int
    min_delta: float


@dataclass(frozen=True)
class KeepCheckpoints:
    """Checkpoints to keep in the bucket: the last, the best, and one every so many hours."""

    last: int
    best: int
    every_hours: int | None

    def __str__(self) -> str:
        hours = "" if self.every_hours is None else f", everyHours: {self.every_hours}"
        return f"keepCheckpoints {{last: {self.last}, best: {self.best}{hours}}}"


@dataclass(frozen=True)
class Train:
    """spec.train; `learning_rate` is a decimal string. `keep_checkpoints` None means to delete none.

    With `learning_rate_of_config`, optimizer and schedule are those of the user's own configuration.
    """

    steps: int
    batch_size: int
    learning_rate: str
    gpus: int
    save_every_steps: int
    eval_every_steps: int
    stall_seconds: int
    max_duration_seconds: int | None = None
    seed: int | None = None
    metric: Metric = "mAP"
    optimizer: Literal["adam", "momentum", "rmsProp"] | None = None
    augmentation: tuple[Augmentation, ...] | None = None
    focal_loss: FocalLoss | None = None
    class_weights: Mapping[str, str] | None = None
    early_stopping: EarlyStopping | None = None
    keep_checkpoints: KeepCheckpoints | None = None
    learning_rate_of_config: bool = False


@dataclass(frozen=True)
class GateBar:
    """Scores to reach, as decimal strings; `name` is a class, None is every class that has no bar of its own."""

    name: str | None
    min_map: str | None
    min_ap50: str | None


@dataclass(frozen=True)
class Gate:
    """spec.export.gate: scores over all classes, then scores of classes."""

    min_map: str | None
    min_ap50: str | None
    per_class: tuple[GateBar, ...]


@dataclass(frozen=True)
class Export:
    """spec.export."""

    eval_images: int
    checkpoint: Checkpoint = "latest"
    gate: Gate | None = None


@dataclass(frozen=True)
class Changes:
    """What the operator changes for one attempt: the variable TRAININGRUN_CHANGES of its Job, a JSON object.

    `finish` ends training at the next opportunity. `batch_size` replaces that of train, `learning_rate_factor`
    multiplies every learning rate.
    """

    finish: bool = False
    batch_size: int | None = None
    learning_rate_factor: float = 1.0


NO_CHANGES: Final = Changes()


def changes(text: str) -> Changes:
    """Parse TRAININGRUN_CHANGES; empty means no changes. Raises ValueError, KeyError or TypeError."""
    document = bounded_json.document(text.encode()) if text else {}
    size = document.get("batchSize")
    return Changes(
        finish=bool(document.get("finish", False)),
        batch_size=None if size is None else int(size),
        learning_rate_factor=float(document.get("learningRateFactor", 1.0)),
    )


def uri(document: Mapping[str, Any] | None) -> Uri | None:
    """An address in resolved.json."""
    return None if document is None else Uri(document["bucket"], document["key"])


def model(document: Mapping[str, Any]) -> Model:
    """The object `model` of resolved.json."""
    return Model(
        network=document["network"],
        pretrained=_pretrained(document["pretrained"]),
        input_size=document.get("inputSize"),
        max_detections=document.get("maxDetections"),
        config=_config(document.get("config")),
        overrides=document.get("overrides") or {},
    )


def train(document: Mapping[str, Any]) -> Train:
    """The object `train` of resolved.json."""
    focal, stopping, keep = (document.get(name) for name in ("focalLoss", "earlyStopping", "keepCheckpoints"))
    steps = document.get("augmentation")
    return Train(
        steps=document["steps"],
        batch_size=document["batchSize"],
        learning_rate=document["learningRate"],
        gpus=document["gpus"],
        save_every_steps=document["saveEverySteps"],
        eval_every_steps=document["evalEverySteps"],
        stall_seconds=document["stallSeconds"],
        max_duration_seconds=document.get("maxDurationSeconds"),
        seed=document.get("seed"),
        metric=document.get("metric", "mAP"),
        optimizer=document.get("optimizer"),
        augmentation=None if steps is None else tuple(Augmentation(s["name"], s.get("options") or {}) for s in steps),
        focal_loss=None if focal is None else FocalLoss(focal["alpha"], focal["gamma"]),
        class_weights=document.get("classWeights"),
        early_stopping=None if stopping is None else EarlyStopping(stopping["patience"], float(stopping["minDelta"])),
        keep_checkpoints=None if keep is None else KeepCheckpoints(keep["last"], keep["best"], keep["everyHours"]),
        learning_rate_of_config=bool(document.get("learningRateOfConfig", False)),
    )


def export(document: Mapping[str, Any]) -> Export:
    """The object `export` of resolved.json."""
    gate = document.get("gate")
    return Export(
        eval_images=document["evalImages"],
        checkpoint=document.get("checkpoint", "latest"),
        gate=None if gate is None else _gate(gate),
    )


def _pretrained(document: Mapping[str, Any] | None) -> Pretrained | None:
    if document is None:
        return None
    scope: Scope = document.get("scope", "auto")
    if "url" in document:
        refused = tuple(ip_network(text) for text in document.get("refusedNetworks", ()))
        return Pretrained(None, document["url"], document["sha256"], scope, refused)
    return Pretrained(uri(document), None, document.get("sha256"), scope)


def _config(document: Mapping[str, Any] | None) -> Uri | ConfigMapKey | None:
    if document is None:
        return None
    if "configMap" in document:
        return ConfigMapKey(document["configMap"]["name"], document["configMap"]["key"])
    return uri(document["uri"])


def _gate(document: Mapping[str, Any]) -> Gate:
    bars = tuple(GateBar(bar["class"], bar["minMAP"], bar["minAP50"]) for bar in document["perClass"])
    return Gate(document["minMAP"], document["minAP50"], bars)
