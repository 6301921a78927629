"""Prepare a data set whose train and eval splits are in a bucket in memory."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from memory_store import MemoryStore
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import Dataset, Source, SplitRule
from trainingrun_agent.keys import BucketKeys
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.prepare import prepare
from trainingrun_agent.prep.prepared import PreparedDataset
from trainingrun_agent.prep.request import PrepareRequest
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import Producer
from trainingrun_agent.terms import TRAININGRUN
from voc_data import jpeg, voc

BUCKET = "detectors"


def seen(finding: dict[str, Any]) -> str:
    """The description of a finding of report.json, as a pod shows it."""
    return Finding.from_json(finding).seen(TRAININGRUN)


@dataclass
class Preparation:
    """A bucket in memory with `train/` and `eval/`, and the parameters of its preparation."""

    scratch: Path
    memory: MemoryStore = field(default_factory=MemoryStore)
    store: ObjectStore | None = None
    classes: tuple[str, ...] = ("tire",)
    max_bad_files: str = "0"
    max_image_side: int = 1024
    intensity_range: tuple[int, int] | None = None
    network: str = "ssd_inception_v2"
    train: Source = field(default_factory=lambda: Source(BUCKET, "train/"))
    eval: Source | None = field(default_factory=lambda: Source(BUCKET, "eval/"))
    split: SplitRule | None = None
    progress: Progress = field(default_factory=lambda: Progress(stage="prep", pod_uid="pod-1"))
    stop: threading.Event = field(default_factory=threading.Event)
    clock: Clock = field(default_factory=Clock)

    def add(self, name: str, image: bytes | None = None, xml: bytes | None = None, *, split: str = "train") -> None:
        """Store `<name>.jpg` and `<name>.xml`; by default a valid image and annotation."""
        self.memory.objects[f"{split}/{name}.jpg"] = jpeg(seed=f"{split}/{name}") if image is None else image
        self.memory.objects[f"{split}/{name}.xml"] = voc() if xml is None else xml

    def set_format(self, format_: str) -> None:
        """Set the format of the labels of both splits."""
        self.train = replace(self.train, format=format_)
        self.eval = self.eval and replace(self.eval, format=format_)

    def run(self) -> PreparedDataset:
        """Prepare the data set."""
        store = self.store or self.memory
        return prepare(
            PrepareRequest(
                dataset=Dataset(
                    self.train,
                    self.eval,
                    self.split,
                    self.classes,
                    self.max_bad_files,
                    self.max_image_side,
                    self.intensity_range,
                ),
                network=self.network,
                store_for=lambda _: store,
                out=store,
                keys=BucketKeys("ml"),
                producer=Producer("pod-1", 0),
                scratch=self.scratch,
                progress=self.progress,
                stop=self.stop,
                clock=self.clock,
            )
        )

    def document(self, name: str) -> dict[str, Any]:
        """The only JSON document in the bucket whose name is `name`."""
        [key] = [key for key in self.memory.objects if key.endswith(f"/{name}")]
        document: dict[str, Any] = json.loads(self.memory.objects[key])
        return document

    def codes(self) -> dict[str, int]:
        """Number of findings by code, from report.json."""
        counts: dict[str, int] = self.document("report.json")["counts"]
        return counts

    def blobs(self) -> dict[str, bytes]:
        """The TFRecord shards in the bucket, by key."""
        return {key: data for key, data in self.memory.objects.items() if key.endswith(".tfrecord")}
