"""A TrainingRun in a bucket: its pods, what its prep stage stored, and a stand-in for the trainer."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainingrun_agent.attempt_record import AttemptRecord
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig, Paths, parse_resolved
from trainingrun_agent.context import StageContext
from trainingrun_agent.keys import BucketKeys, RunKeys
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import Manifest, ManifestObject, Producer
from trainingrun_agent.storage.results import write_result
from trainingrun_agent.storage.stores import Stores
from trainingrun_agent.training_settings import NO_CHANGES, Changes

FAKE_TRAINER = Path(__file__).with_name("fake_trainer.py")
RUN_UID = "0a1b2c3d-0000-4000-8000-000000000001"


def resolved_document(endpoint: str, bucket: str, **train: Any) -> dict[str, Any]:
    source = {"bucket": bucket, "key": "images/", "imageSet": None}
    return {
        "contractVersion": 1,
        "run": {"namespace": "team", "name": "tire", "uid": RUN_UID},
        "storage": {
            "endpoint": endpoint,
            "region": "us-east-1",
            "bucket": bucket,
            "prefix": "lab",
            "addressing": "path",
            "caBundle": False,
            "outageToleranceSeconds": 5,
        },
        "dataset": {"train": source, "eval": source, "classes": ["tire"], "maxBadFiles": "1%", "maxImageSide": 1024},
        "model": {"network": "ssd_inception_v2", "pretrained": None},
        "train": {
            "steps": 30,
            "batchSize": 2,
            "learningRate": "0.004",
            "gpus": 0,
            "saveEverySteps": 10,
            "evalEverySteps": 10,
            "stallSeconds": 60,
        }
        | train,
        "export": {"evalImages": 500},
        "images": {"agent": "agent:1", "trainer": "trainer:1", "tensorboard": "tensorboard:1"},
    }


@dataclass
class Run:
    """One TrainingRun in a bucket of its own; each of its pods gets an empty shared folder."""

    root: Path
    document: dict[str, Any]
    trainers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    stores: list[Stores] = field(default_factory=list)  # of each pod

    @property
    def prefix(self) -> str:
        return self.run_keys.folder

    @property
    def run_keys(self) -> RunKeys:
        return BucketKeys("lab").run(namespace="team", name="tire", uid=RUN_UID)

    def pod(
        self, stage: str, *, grace: int = 30, clock: Clock | None = None, changes: Changes = NO_CHANGES
    ) -> StageContext:
        uid = str(uuid.uuid4())
        shared = self.root / f"pod-{uid[:8]}"
        shared.mkdir()
        paths = Paths(credentials=self.root / "credentials", shared=shared, termination_log=shared / "termination")
        config = AgentConfig(
            resolved=parse_resolved(json.dumps(self.document).encode()),
            stage=stage,  # type: ignore[arg-type]
            attempt=1,
            pod_uid=uid,
            pod_ip="127.0.0.1",
            grace_seconds=grace,
            paths=paths,
            changes=changes,
        )
        clock = clock or Clock()
        progress, stop = Progress(stage=stage, pod_uid=uid), threading.Event()
        stores = Stores(config, progress=progress, stop=stop, clock=Clock())
        self.stores.append(stores)
        return StageContext(config, stores.open, progress, stop, clock, AttemptRecord(clock, progress))

    def start_trainer(self, context: StageContext, **plan: Any) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            str(FAKE_TRAINER),
            str(context.config.shared),
            json.dumps(plan),
        ]
        process = subprocess.Popen(command)
        self.trainers.append(process)
        return process

    def keys(self, store: ObjectStore, below: str = "") -> list[str]:
        base = f"{self.prefix}/{below}"
        return [info.key[len(base) :] for info in store.list(base)]


def store_prepared(run: Run, dataset: dict[str, Any] | None = None) -> None:
    """Store what a prep stage leaves: records, label map, manifest, pipeline.config and result."""
    store = run.pod("prep").out
    objects = []
    for split, count in (("train", 3), ("eval", 1)):
        for index in range(count):
            data = f"{split}-{index}".encode() * 5000
            sha256 = hashlib.sha256(data).hexdigest()
            store.put(f"lab/datasets/blobs/{sha256}.tfrecord", data)
            objects.append(
                ManifestObject(f"datasets/blobs/{sha256}.tfrecord", len(data), sha256, f"{split}Records", images=2)
            )
    digest, label_map = "d" * 64, b"item { id: 1 name: 'tire' }\n"
    store.put(f"lab/datasets/{digest}/label_map.pbtxt", label_map)
    objects.append(ManifestObject("label_map.pbtxt", len(label_map), hashlib.sha256(label_map).hexdigest(), "labelMap"))
    manifest = Manifest("dataset", Producer("prep-pod", 1), "2026-01-01T00:00:00Z", tuple(objects), dataset=dataset)
    manifests.write(store, f"lab/datasets/{digest}", manifest)
    store.put(f"{run.prefix}/pipeline.config", b"model { ssd { } }\n")
    write_result(
        store,
        run.run_keys,
        stage="prep",
        producer=Producer("prep-pod", 1),
        manifest_key=f"datasets/{digest}/MANIFEST.json",
        numbers={"trainImages": 6, "evalImages": 2},
    )
