"""The configuration of one container: resolved.json, its environment and its mounts, as frozen dataclasses.

Invariant: no other module reads the environment or resolved.json. A config names the folder of the credentials, never
the credentials. Contract: images/contracts/resolved.schema.json.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal, cast, get_args

from trainingrun_agent import bounded_json, contract, training_settings
from trainingrun_agent.contract import Stage
from trainingrun_agent.errors import StageError
from trainingrun_agent.keys import BucketKeys, RunKeys
from trainingrun_agent.reasons.pods import CONTRACT_MISMATCH, OTHER_DOCUMENT
from trainingrun_agent.training_settings import NO_CHANGES, Changes, Export, Model, Train, Uri

MAX_RESOLVED_BYTES = 1 << 20

Command = Stage | Literal["mirror"]
GroupBy = Literal["sequence", "folder", "image"]


@dataclass(frozen=True)
class Paths:
    """Files and folders that the operator mounts; tests use others."""

    resolved: Path = Path("/etc/trainingrun/resolved.json")
    credentials: Path = Path("/var/run/secrets/trainingrun/s3")
    ca_bundle: Path = Path("/etc/trainingrun/ca/ca.crt")
    model_config: Path = Path("/etc/trainingrun/model-config/pipeline.config")
    shared: Path = Path("/shared")
    termination_log: Path = Path("/dev/termination-log")


@dataclass(frozen=True)
class Encryption:
    """spec.storage.encryption: how the server is to encrypt what is written; `kms_key_id` None means its own key."""

    type: Literal["AES256", "aws:kms"]
    kms_key_id: str | None = None


@dataclass(frozen=True)
class WebIdentity:
    """spec.storage.credentials with serviceAccountName: whom the STS at `sts_endpoint` is asked to be."""

    sts_endpoint: str
    role_arn: str | None = None


@dataclass(frozen=True)
class Storage:
    """spec.storage; `endpoint` None means AWS, `prefix` has no slash at either end and may be empty.

    Connections to `refused_networks` are prevented. `web_identity` None means an access key from the mounted Secret.
    """

    endpoint: str | None
    region: str
    bucket: str
    prefix: str
    addressing: Literal["path", "virtual"]
    ca_bundle: bool
    outage_tolerance_seconds: int
    refused_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    encryption: Encryption | None = None
    web_identity: WebIdentity | None = None


@dataclass(frozen=True)
class Source(Uri):
    """Where the images and labels of one split are.

    `image_set` names a list ImageSets/Main/<name>.txt of a VOC folder; `format` is the format of the labels, or `auto`.
    `labels` is the folder of the labels, if it is named.
    """

    image_set: str | None = None
    format: str = "auto"
    labels: Uri | None = None


@dataclass(frozen=True)
class SplitRule:
    """spec.dataset.evalFraction, .splitSeed and .splitGroup: how one source is divided into two splits."""

    fraction: Decimal
    seed: int
    group_by: GroupBy


@dataclass(frozen=True)
class Dataset:
    """spec.dataset; exactly one of `eval` and `split` is set.

    `max_bad_files` is a count ("3") or a percentage ("1%"), `max_image_side` is in pixels. `intensity_range` are the
    values of pixels of more than 8 bits that become black and white, None if they are found from the images.
    """

    train: Source
    eval: Source | None
    split: SplitRule | None
    classes: tuple[str, ...]
    max_bad_files: str
    max_image_side: int
    intensity_range: tuple[int, int] | None = None

    @property
    def sources(self) -> tuple[tuple[str, Uri], ...]:
        """The folders that are read, each with its field in the spec."""
        named = (
            ("dataset.train.uri", self.train),
            ("dataset.train.labels.uri", self.train.labels),
            ("dataset.eval.uri", self.eval),
            ("dataset.eval.labels.uri", self.eval and self.eval.labels),
        )
        return tuple((name, source) for name, source in named if source is not None)


@dataclass(frozen=True)
class RunRef:
    """The TrainingRun that this pod works for."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class Resolved:
    """The content of resolved.json."""

    run: RunRef
    storage: Storage
    dataset: Dataset
    model: Model
    train: Train
    export: Export
    document: Mapping[str, Any] = field(repr=False, compare=False)
    """resolved.json as it was read, for run.json."""
    resume_from: Uri | None = None
    """spec.resumeFrom: the folder of the run whose training this one continues."""

    @property
    def keys(self) -> BucketKeys:
        """Keys below the storage prefix."""
        return BucketKeys(self.storage.prefix)

    @property
    def field_values(self) -> Mapping[str, object]:
        """The values of the spec's fields by path, such as `train.batchSize`."""
        return dict(_leaves(self.document, ""))

    @property
    def run_keys(self) -> RunKeys:
        """Keys in the folder of this run."""
        return self.keys.run(namespace=self.run.namespace, name=self.run.name, uid=self.run.uid)


@dataclass(frozen=True)
class AgentConfig:
    """The configuration of one container; `attempt` counts from 1, `grace_seconds` is the pod's grace period."""

    resolved: Resolved
    stage: Command
    attempt: int
    pod_uid: str
    pod_ip: str
    grace_seconds: int
    paths: Paths
    changes: Changes = NO_CHANGES
    proxy: str | None = None
    """Address of the HTTP proxy for every request to storage and to the STS; None: no proxy."""
    web_proxy: str | None = None
    """The same for the https address of spec.model.pretrained, whose host may be on another side of the proxy."""

    @property
    def shared(self) -> Path:
        """The folder shared with the trainer; scratch space in prep."""
        return self.paths.shared

    @property
    def credentials_dir(self) -> Path:
        """The mounted Secret, one file per key; or the folder of `token_file`."""
        return self.paths.credentials

    @property
    def token_file(self) -> Path:
        """The token of the pod's ServiceAccount, which the kubelet replaces before it expires; with web_identity."""
        return self.paths.credentials / "token"

    @property
    def ca_file(self) -> Path | None:
        """The CA bundle to trust, when spec.storage.caBundle asks for one."""
        return self.paths.ca_bundle if self.resolved.storage.ca_bundle else None


def load(env: Mapping[str, str], *, stage: Command | None = None, paths: Paths | None = None) -> AgentConfig:
    """Read resolved.json and the environment. Raises StageError `ContractMismatch` when they do not fit this agent."""
    where = paths or Paths()
    stage = stage or cast("Command", _required(env, "TRAININGRUN_STAGE"))
    mirror = stage == "mirror"
    data = _read(where.resolved)
    _check_digest(data, env.get("TRAININGRUN_RESOLVED_SHA256"))
    resolved = parse_resolved(data)
    wanted = env.get("TRAININGRUN_RUN_UID", resolved.run.uid)
    if resolved.run.uid != wanted:  # never write to another run's folder, whatever was mounted
        raise _mismatch(f"resolved.json is of run UID {resolved.run.uid}, but this pod belongs to {wanted}")
    return AgentConfig(
        resolved=resolved,
        stage=stage,
        attempt=int(env.get("TRAININGRUN_ATTEMPT", "1")),
        pod_uid=env.get("POD_UID", "mirror") if mirror else _required(env, "POD_UID"),
        pod_ip=env.get("POD_IP", ""),
        grace_seconds=int(env.get("TERMINATION_GRACE_SECONDS", "30")),
        paths=where,
        changes=_changes(env.get("TRAININGRUN_CHANGES", "")),
        proxy=env.get("TRAININGRUN_STORAGE_PROXY") or None,
        web_proxy=env.get("TRAININGRUN_WEB_PROXY") or None,
    )


def parse_resolved(data: bytes) -> Resolved:
    """Parse resolved.json. Unknown fields are ignored, so that a newer operator may add fields."""
    try:
        document = bounded_json.document(data)
        version = document["contractVersion"]
        if version not in contract.READABLE_VERSIONS:
            raise _mismatch(f"resolved.json has contractVersion {version}, known: {contract.READABLE_VERSIONS}")
        return _resolved(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _mismatch(f"resolved.json cannot be used: {type(error).__name__}: {error}") from error


def _resolved(document: dict[str, Any]) -> Resolved:
    run, storage = document["run"], document["storage"]
    return Resolved(
        run=RunRef(run["namespace"], run["name"], run["uid"]),
        storage=Storage(
            endpoint=storage["endpoint"],
            region=storage["region"],
            bucket=storage["bucket"],
            prefix=storage["prefix"].strip("/"),
            addressing=storage["addressing"],
            ca_bundle=storage["caBundle"],
            outage_tolerance_seconds=storage["outageToleranceSeconds"],
            refused_networks=tuple(ip_network(text) for text in storage.get("refusedNetworks", ())),
            encryption=_encryption(storage.get("encryption")),
            web_identity=_web_identity(storage.get("webIdentity")),
        ),
        dataset=_dataset(document["dataset"]),
        model=training_settings.model(document["model"]),
        train=training_settings.train(document["train"]),
        export=training_settings.export(document["export"]),
        document=document,
        resume_from=training_settings.uri(document.get("resumeFrom")),
    )


def _encryption(document: dict[str, Any] | None) -> Encryption | None:
    return None if document is None else Encryption(document["type"], document["kmsKeyId"])


def _web_identity(document: dict[str, Any] | None) -> WebIdentity | None:
    return None if document is None else WebIdentity(document["stsEndpoint"], document["roleARN"])


def _dataset(document: dict[str, Any]) -> Dataset:
    # Runs accepted before splits existed have two folders and no `split`.
    evaluation, split = document["eval"], document.get("split")
    if (evaluation is None) == (split is None):
        raise ValueError("dataset has both eval and split, or neither")
    return Dataset(
        train=_source(document["train"]),
        eval=None if evaluation is None else _source(evaluation),
        split=None if split is None else _split(split),
        classes=tuple(document["classes"]),
        max_bad_files=document["maxBadFiles"],
        max_image_side=document["maxImageSide"],
        intensity_range=_range(document.get("intensityRange")),
    )


def _range(pair: list[int] | None) -> tuple[int, int] | None:
    if pair is None:
        return None
    low, high = map(int, pair)
    if low >= high:
        raise ValueError(f"dataset.intensityRange is {pair}, whose first value is not below the second")
    return low, high


def _split(document: dict[str, Any]) -> SplitRule:
    text, group_by = document["fraction"], document["groupBy"]
    try:
        fraction = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"dataset.split.fraction is {text!r}, not a decimal number") from None
    if not fraction.is_finite() or not 0 < fraction < 1:
        raise ValueError(f"dataset.split.fraction is {text!r}, not above 0 and below 1")
    if group_by not in get_args(GroupBy):
        raise ValueError(f"dataset.split.groupBy is {group_by!r}, known: {', '.join(get_args(GroupBy))}")
    return SplitRule(fraction, int(document["seed"]), group_by)


def _source(document: dict[str, Any]) -> Source:
    # Runs accepted before there was a choice of formats have PascalVOC.
    return Source(
        document["bucket"],
        document["key"],
        document["imageSet"],
        document.get("format", "pascalVOC"),
        training_settings.uri(document.get("labels")),
    )


def _changes(text: str) -> Changes:
    try:
        return training_settings.changes(text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _mismatch(f"environment variable TRAININGRUN_CHANGES cannot be used: {error}") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_RESOLVED_BYTES + 1)
    except OSError as error:
        raise _mismatch(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_RESOLVED_BYTES:
        raise _mismatch(f"{path} is larger than {MAX_RESOLVED_BYTES} bytes")
    return data


def _check_digest(data: bytes, accepted: str | None) -> None:
    """Refuse a document that the run was not accepted with; earlier operators do not say which.

    A kubelet may also mount a deleted ConfigMap from its cache for a while: that is over with a later pod.
    """
    found = hashlib.sha256(data).hexdigest()
    if accepted is not None and found != accepted:
        raise StageError(OTHER_DOCUMENT, found=found[:12], accepted=accepted[:12])


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise _mismatch(f"environment variable {name} is not set")
    return value


def _leaves(document: Mapping[str, Any], path: str) -> Iterator[tuple[str, object]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{name}.")
        elif value is not None:
            yield f"{path}{name}", value


def _mismatch(message: str) -> StageError:
    return StageError(CONTRACT_MISMATCH, problem=message)
