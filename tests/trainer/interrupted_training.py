"""A run in a bucket whose trainings are real: agents and TensorFlow as processes, ended at the steps that a test names.

What is known of a training comes from its session (observed_trainer.py) and from the bucket, read past the agent.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from trainer_runs import DEMO, PATIENCE

from agent_run import resolved_document
from trcluster.command import run
from trdemo.tires import draw_set
from trservers.server import Server
from whole_life import Life, Pod

PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
OBSERVED_TRAINER = Path(__file__).with_name("observed_trainer.py")
TRAINER = Path(__file__).parents[2] / "images" / "trainer"
IMAGES = {"train": 64, "eval": 16}
DIGESTS = """
import hashlib, json, sys
import tensorflow as tf
reader = tf.train.load_checkpoint(sys.argv[1])
values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
print(json.dumps({name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in values.items()}))
"""


@dataclass(frozen=True)
class Ended:
    """A training that has ended: its verdict, the work that its agent gave it, and what was seen in its session."""

    verdict: dict[str, Any]
    spec: dict[str, Any]
    lines: list[dict[str, Any]]

    @cached_property
    def restored(self) -> dict[str, str]:
        """The SHA-256 of every variable when the session began."""
        [found] = [line["restored"] for line in self.lines if "restored" in line]
        return dict(found)

    @cached_property
    def rates(self) -> dict[int, float]:
        """The learning rate of each step."""
        return {line["step"]: line["rate"] for line in self.lines if "step" in line}

    @cached_property
    def losses(self) -> dict[int, float]:
        """The loss of each step."""
        return {line["step"]: line["loss"] for line in self.lines if "step" in line}


class Training(Life):
    """A run whose preparation is done with `prepare`."""

    def prepare(self) -> None:
        """Make the data set."""
        verdict = self.pod("prep")
        assert verdict["outcome"] == "succeeded", verdict

    def train(self, end_at: str = "") -> Ended:
        """One attempt at training, which is ended as END_AT of observed_trainer.py says."""
        verdict = self.pod("train", end_at=end_at)
        pod = self.pods[-1]
        lines = [json.loads(line) for line in _observations(pod.shared).read_text().splitlines()]
        return Ended(verdict, json.loads((pod.shared / "spec.json").read_text()), lines)

    def stored_checkpoint(self, step: int, into: Path) -> dict[str, str]:
        """The SHA-256 of every variable in the newest checkpoint of a step in the bucket."""
        keys = [key for key in self._keys() if f"/checkpoints/{step:08d}/model.ckpt-{step}." in key]
        newest = max(key.partition("/train/")[2].partition("/")[0] for key in keys)
        for key in keys:
            if f"/train/{newest}/" in key:
                self.s3.download_file(self.bucket, key, str(into / key.rpartition("/")[2]))
        printed = run([PYTHON, "-c", DIGESTS, str(into / f"model.ckpt-{step}")], timeout=PATIENCE)
        return dict(json.loads(printed.splitlines()[-1]))

    def evaluations(self) -> list[dict[str, Any]]:
        """All evaluations of all attempts, in their order."""
        found = []
        for key in sorted(key for key in self._keys() if key.endswith("/evaluations.json")):
            found += json.loads(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())["evaluations"]
        return found

    def start_trainer(self, shared: Path, plan: dict[str, Any]) -> subprocess.Popen[bytes]:
        """Start the observed trainer."""
        env = {**os.environ, "TF_PYTHONPATH": str(TRAINER), "OBSERVED": str(_observations(shared))}
        with (shared.parent / f"{shared.name}.trainer.log").open("wb") as out:
            return subprocess.Popen(
                [PYTHON, str(OBSERVED_TRAINER), "train", "--shared", str(shared)],
                env={**env, "END_AT": plan["end_at"]},
                stdout=out,
                stderr=out,
            )

    def log_of(self, pod: Pod) -> str:
        """What the trainer of a pod printed."""
        return (self.root / f"{pod.name}.trainer.log").read_text()

    def _keys(self) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="lab/runs/")
        return [entry["Key"] for page in pages for entry in page["Contents"]]


def new_training(root: Path, server: Server, name: str, **train: Any) -> Training:
    """A run in a bucket of its own, with tires to detect."""
    root.mkdir()
    server.client.create_bucket(Bucket=name)
    document = resolved_document(server.endpoint, name, batchSize=8, learningRate="0.01", stallSeconds=600, **train)
    document["model"]["network"] = DEMO
    for split, count in IMAGES.items():
        for photo in draw_set(count, seed=7, prefix=split):
            server.client.put_object(Bucket=name, Key=f"{split}/{photo.name}", Body=photo.jpeg)
            server.client.put_object(Bucket=name, Key=f"{split}/{Path(photo.name).stem}.xml", Body=photo.xml)
        document["dataset"][split] = {"bucket": name, "key": f"{split}/", "imageSet": None}
    (root / "resolved.json").write_text(json.dumps(document))
    (root / "credentials").mkdir()
    server.write_account(root / "credentials")
    training = Training(root, server.client, name, seconds=PATIENCE)
    training.prepare()
    return training


def _observations(shared: Path) -> Path:
    return shared.parent / f"{shared.name}.observed"
