"""Keys of objects in the bucket: the storage layout of images/contracts/README.md.

Invariant: no other module builds or parses a key. A key is absolute in the bucket unless it is called relative: then it
counts from the storage prefix. A folder is a key without a slash at the end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from trainingrun_agent.contract import Stage

MANIFEST = "MANIFEST.json"
LABEL_MAP, REPORT, REPORT_PAGE = "label_map.pbtxt", "report.json", "report.html"
"""Files of a data set, beside its manifest; see also `labels_csv`."""
EVENT_FOLDERS = ("train", "eval_0")
"""Folders of event files in the bucket and below TensorBoard's logdir."""
EVENT_FILE = re.compile(r"events\.out\.tfevents\.\d{1,12}\.[A-Za-z0-9._-]{1,200}")
_DATASETS = "datasets"
_RESULTS: Mapping[Stage, str] = {"prep": "prepared.json", "train": "trained.json", "export": "exported.json"}
_DIGEST = re.compile(r"[0-9a-f]{64}")
_EPOCH = re.compile(r"(\d{4,9})\.json")
_ATTEMPT = re.compile(r"(\d{4,9})-[0-9A-Za-z-]{1,36}")
_CHECKPOINT_MANIFEST = re.compile(r"(\d{8,16})/" + re.escape(MANIFEST))
_CHUNK = re.compile(rf"({'|'.join(EVENT_FOLDERS)})/({EVENT_FILE.pattern})/(\d{{20}})")


def manifest_of(folder: str) -> str:
    """Key of the manifest of a folder."""
    return file_of(folder, MANIFEST)


def file_of(folder: str, name: str) -> str:
    """Key of a file of a folder."""
    return f"{folder}/{name}"


def labels_csv(split: str) -> str:
    """Name of the CSV file with the boxes of a split."""
    return f"{split}_labels.csv"


def is_manifest(key: str) -> bool:
    """Whether an object is a manifest."""
    return key.endswith(f"/{MANIFEST}")


def folder_of(key: str) -> str:
    """Folder of an object, for example of a manifest."""
    return key.rpartition("/")[0]


@dataclass(frozen=True)
class DatasetObject:
    """What an object below datasets/ belongs to; `digest` is that of the data set, empty for shared objects."""

    kind: Literal["blob", "latest", "unfinished", "failed", "damaged", "dataset"]
    digest: str = ""


@dataclass(frozen=True)
class BucketKeys:
    """The layout below a storage prefix, which has no slash at either end and may be empty."""

    prefix: str

    def absolute(self, relative: str) -> str:
        """The key in the bucket of a relative key."""
        return f"{self.prefix}/{relative}" if self.prefix else relative

    def relative(self, key: str) -> str:
        """The inverse of `absolute`. Raises ValueError for a key outside of the storage prefix."""
        head = f"{self.prefix}/" if self.prefix else ""
        if not key.startswith(head):
            raise ValueError(f"{key!r} is not below the storage prefix {self.prefix!r}")
        return key[len(head) :]

    @property
    def datasets(self) -> str:
        """Folder of all data sets."""
        return self.absolute(_DATASETS)

    def dataset(self, digest: str) -> str:
        """Folder of one data set."""
        return f"{self.datasets}/{digest}"

    @property
    def failed_datasets(self) -> str:
        """Folder of the reports on data that was refused."""
        return f"{self.datasets}/failed"

    def failed_dataset(self, digest: str) -> str:
        """Folder of the report on data that cannot be used."""
        return f"{self.failed_datasets}/{digest}"

    def latest_shards(self, sources_digest: str) -> str:
        """The list of the shards that the last preparation of these sources made."""
        return f"{self.datasets}/latest/{sources_digest}.json"

    def unfinished_shards(self, sources_digest: str) -> str:
        """The list of the shards that a preparation of these sources has stored, while it goes on."""
        return f"{self.datasets}/unfinished/{sources_digest}.json"

    def blob(self, sha256: str, suffix: Literal["tfrecord", "rows.gz"]) -> str:
        """A shard, or the rows about its images, by its content."""
        return f"{self.datasets}/blobs/{sha256}.{suffix}"

    @property
    def damaged(self) -> str:
        """Folder of the marks of objects that a reader found damaged."""
        return f"{self.datasets}/damaged"

    def damage_mark(self, key: str) -> str | None:
        """The mark of the object at `key`, None if the object is not below `datasets`."""
        below = key.removeprefix(f"{self.datasets}/")
        return None if below == key else f"{self.damaged}/{below}"

    def marked_as_damaged(self, mark: str) -> str:
        """Absolute key of the object that a mark is about: the inverse of `damage_mark`."""
        return f"{self.datasets}/{mark[len(self.damaged) + 1 :]}"

    def manifest_entry(self, key: str, *, folder: str) -> str:
        """Absolute key of an entry of the manifest in `folder`: blobs are named relative, all others in the folder."""
        return self.absolute(key) if key.startswith(f"{_DATASETS}/") else f"{folder}/{key}"

    def parse_dataset_object(self, key: str) -> DatasetObject | None:
        """What a key below `datasets` is part of, None for objects of unknown names."""
        first, _, rest = key[len(self.datasets) + 1 :].partition("/")
        digest = rest.partition("/")[0]
        if first == "blobs":
            return DatasetObject("blob")
        if first == "latest" and rest.endswith(".json"):
            return DatasetObject("latest")
        if first == "unfinished" and rest.endswith(".json"):
            return DatasetObject("unfinished")
        if first == "damaged" and rest:
            return DatasetObject("damaged")
        if first == "failed" and _DIGEST.fullmatch(digest):
            return DatasetObject("failed", digest)
        return DatasetObject("dataset", first) if _DIGEST.fullmatch(first) and rest else None

    @staticmethod
    def parse_dataset_manifest(relative: str) -> str | None:
        """The digest of the data set whose manifest this is, None for another key."""
        folder, _, digest = relative.removesuffix(f"/{MANIFEST}").rpartition("/")
        return digest if folder == _DATASETS and _DIGEST.fullmatch(digest) else None

    def weights(self, sha256: str) -> str:
        """An archive of weights that was downloaded from elsewhere, by its content."""
        return self.absolute(f"weights/{sha256}.tar.gz")

    @property
    def runs(self) -> str:
        """Folder of all runs; those are two names below it."""
        return self.absolute("runs")

    def run(self, *, namespace: str, name: str, uid: str) -> RunKeys:
        """The folder of one TrainingRun."""
        return RunKeys(f"{self.runs}/{namespace}/{name}-{uid[:8]}")


@dataclass(frozen=True)
class RunKeys:
    """The layout of one run's folder."""

    folder: str

    @property
    def description(self) -> str:
        """What the run was made from, for people."""
        return f"{self.folder}/run.json"

    @property
    def pipeline_config(self) -> str:
        """The configuration of the Object Detection API."""
        return f"{self.folder}/pipeline.config"

    @property
    def pipeline_changes(self) -> str:
        """How the configuration differs from the default of the network, for programs."""
        return f"{self.folder}/pipeline-changes.json"

    @property
    def pipeline_changes_page(self) -> str:
        """The same for people."""
        return f"{self.folder}/pipeline-changes.html"

    def result(self, stage: Stage) -> str:
        """Key of the result of a stage."""
        return f"{self.folder}/{_RESULTS[stage]}"

    @property
    def logs(self) -> str:
        """Folder of the logs of all attempts."""
        return f"{self.folder}/logs"

    def log(self, stage: str, container: str, *, attempt: int, pod_uid: str) -> str:
        """Key of the log of a container in an attempt's pod."""
        return f"{self.logs}/{stage}-{attempt:04d}-{pod_uid[:8]}/{container}.log"

    def preflight(self, pod_uid: str) -> str:
        """The object that the preflight writes and deletes."""
        return f"{self.folder}/preflight/{pod_uid[:8]}"

    @property
    def epochs(self) -> str:
        """Folder of the claims of epochs."""
        return f"{self.folder}/epochs"

    def epoch(self, number: int) -> str:
        """Key of the claim of an epoch."""
        return f"{self.epochs}/{number:04d}.json"

    def parse_epoch(self, key: str) -> int | None:
        """The epoch that the claim at `key` is for, None for anything else."""
        match = _EPOCH.fullmatch(key[len(self.epochs) + 1 :])
        return int(match[1]) if match else None

    def attempts(self, stage: Stage) -> str:
        """Folder of a stage's attempts."""
        return f"{self.folder}/{stage}"

    def attempt(self, stage: Stage, *, epoch: int, pod_uid: str) -> Attempt:
        """The attempt of a pod."""
        return Attempt(epoch, f"{self.attempts(stage)}/{epoch:04d}-{pod_uid[:8]}")

    def parse_attempt(self, stage: Stage, key: str) -> Attempt | None:
        """The attempt that a key below `attempts` belongs to, None when it belongs to none."""
        name = key[len(self.attempts(stage)) + 1 :].partition("/")[0]
        match = _ATTEMPT.fullmatch(name)
        return Attempt(int(match[1]), f"{self.attempts(stage)}/{name}") if match else None


@dataclass(frozen=True)
class Attempt:
    """The layout of the folder that one pod writes to."""

    epoch: int
    folder: str

    @property
    def last_step(self) -> str:
        """Key of the last step that the attempt recorded."""
        return f"{self.folder}/last.json"

    @property
    def evaluations(self) -> str:
        """Key of the scores of the checkpoints that the attempt evaluated."""
        return f"{self.folder}/evaluations.json"

    @property
    def stacks(self) -> str:
        """Key of the stack traces of a stalled trainer."""
        return f"{self.folder}/stacks.txt"

    @property
    def checkpoints(self) -> str:
        """Folder of all checkpoints."""
        return f"{self.folder}/checkpoints"

    def checkpoint(self, step: int) -> str:
        """Folder of the checkpoint of `step`."""
        return f"{self.checkpoints}/{step:08d}"

    def parse_checkpoint_manifest(self, key: str) -> int | None:
        """The step of the checkpoint whose manifest this is, None for another key."""
        match = _CHECKPOINT_MANIFEST.fullmatch(key[len(self.checkpoints) + 1 :])
        return int(match[1]) if match else None

    @property
    def events(self) -> str:
        """Folder of all event files."""
        return f"{self.folder}/events"

    def event_chunk(self, folder: str, file: str, offset: int) -> str:
        """The part of an event file that starts at byte `offset`."""
        return f"{self.events}/{folder}/{file}/{offset:020d}"

    def parse_event_chunk(self, key: str, size: int) -> EventChunk | None:
        """The event chunk at `key`, None for anything else."""
        match = _CHUNK.fullmatch(key[len(self.folder) :].removeprefix("/events/"))
        if match is None:
            return None
        return EventChunk(key, self.epoch, match[1], match[2], int(match[3]), size)


@dataclass(frozen=True)
class EventChunk:
    """A part of an event file in the bucket: bytes `offset` to `offset + size` of `folder`/`file`."""

    key: str
    epoch: int
    folder: str
    file: str
    offset: int
    size: int
