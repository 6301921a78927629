"""Everything that the pods of a run emit from prep to export: no credential in it, nothing that attacks a reader.

Agents are real processes; data set, trainer and credentials are those of an attacker.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from agent_run import FAKE_TRAINER, resolved_document
from trcluster import waiting
from trdemo.trainer_stand_in import EXPORTED
from trfakes.harness import free_port
from trfakes.hostile import DANGEROUS, HOSTILE, MARK
from voc_data import jpeg, labelled, voc

pytestmark = pytest.mark.contract
PACKAGE = Path(__file__).parents[2] / "images" / "agent"
SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIACANARYWHOLELIFE1",
    "AWS_SECRET_ACCESS_KEY": "canary/Secret+of/a/whole+life/0123456789",
    "AWS_SESSION_TOKEN": "canary-session-token-of-a-whole-life",
}
BUCKET = "whole-life"
SECONDS = 120  # on a busy machine; on an idle one no stage takes three
# What S3 and file systems allow in a key: no NUL; the test server cannot store line ends.
NAME = "".join(sign for sign in HOSTILE if sign not in "\0\r\n/\x85\u2028\u2029")


@dataclass
class Life:
    """What the pods of one run emitted, by what emitted it."""

    root: Path
    s3: Any
    printed: dict[str, str] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    processes: dict[str, bytes] = field(default_factory=dict)

    def pod(self, stage: str, **plan: Any) -> dict[str, Any]:
        """Run the pod of a stage to its end, with this plan for a trainer; returns its verdict."""
        name = f"{stage}-{len(self.printed)}"
        shared, termination, port = self.root / name, self.root / f"{name}.termination", free_port()
        shared.mkdir()
        if plan:  # as the trainer's wrapper copies it
            (shared / "trainer.log").write_text(f"{HOSTILE} {SECRETS}", errors="replace")
        paths = {"resolved": "resolved.json", "credentials": "credentials", "ca-bundle": "ca.crt"}
        flags = [f"--{flag}={self.root / place}" for flag, place in paths.items()]
        flags += [f"--shared={shared}", f"--termination-log={termination}", f"--port={port}"]
        env = {**os.environ, "POD_UID": f"{name:0<36}", "POD_IP": "127.0.0.1", "TRAININGRUN_ATTEMPT": "1"}
        env["PYTHONPATH"] = os.pathsep.join([str(PACKAGE), env.get("PYTHONPATH", "")])
        log = self.root / f"{name}.log"
        with log.open("wb") as out:
            agent = subprocess.Popen(
                [sys.executable, "-m", "trainingrun_agent", stage, *flags], env=env, stdout=out, stderr=out
            )
            trainer = self._trainer(shared, plan) if plan else None
            waiting.until(lambda: self._look(name, agent, port), what=f"the end of {name}", seconds=SECONDS, every=0.05)
            if trainer is not None:
                trainer.wait(SECONDS)
        self.printed[f"{name}: log"] = log.read_text()
        self.printed[f"{name}: verdict"] = termination.read_text()
        self.stored |= {f"{name}: {path.name}": path.read_bytes() for path in shared.rglob("*") if path.is_file()}
        verdict: dict[str, Any] = json.loads(termination.read_text())
        return verdict

    def collect_bucket(self) -> None:
        """Read every object that the run wrote."""
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="lab/"):
            for entry in page["Contents"]:
                key = entry["Key"]
                self.stored[f"{key}: key"] = key.encode()
                self.stored[key] = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def _trainer(self, shared: Path, plan: dict[str, Any]) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(FAKE_TRAINER), str(shared), json.dumps(plan)])

    def _look(self, name: str, agent: subprocess.Popen[bytes], port: int) -> bool:
        """Look at what a pod serves and how its processes were started; return whether it has ended."""
        for path in ("progress", "metrics"):
            with (
                suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer,
            ):
                self.printed[f"{name}: /{path}"] = answer.read().decode()
        for process in (agent.pid, *children(agent.pid)):
            for file in ("cmdline", "environ"):
                with suppress(OSError):
                    self.processes[f"{name}: {process}: {file}"] = Path(f"/proc/{process}/{file}").read_bytes()
        return agent.poll() is not None


def children(process: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


@pytest.fixture(scope="module")
def life(moto_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """A run from prep to export; its first training fails with words of the trainer."""
    root = tmp_path_factory.mktemp("life")
    s3 = boto3.client(
        "s3",
        endpoint_url=moto_endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "path"}),
    )
    s3.create_bucket(Bucket=BUCKET)
    for folder, count in (("train", 6), ("eval", 3)):
        for number in range(count):
            stem = f"{folder}/{NAME}{number}" if number else f"{folder}/good"
            name = HOSTILE.translate(dict.fromkeys(range(32)))
            boxes = [labelled("tire"), labelled(name)] if number else [labelled("tire")]
            s3.put_object(Bucket=BUCKET, Key=f"{stem}.jpg", Body=jpeg(seed=stem))
            s3.put_object(Bucket=BUCKET, Key=f"{stem}.xml", Body=voc(boxes))
    document = resolved_document(moto_endpoint, BUCKET)
    for split in ("train", "eval"):
        document["dataset"][split] = {"bucket": BUCKET, "key": f"{split}/", "imageSet": None}
    document["dataset"]["maxBadFiles"] = "100"
    (root / "resolved.json").write_text(json.dumps(document))
    (root / "credentials").mkdir()
    for key, value in SECRETS.items():
        (root / "credentials" / key).write_text(value)
    life = Life(root, s3)
    assert life.pod("prep")["outcome"] == "succeeded"
    assert life.pod("train", done="diverged", message=f"{HOSTILE} {SECRETS}")["outcome"] == "diverged"
    assert life.pod("train", save_every=10)["outcome"] == "succeeded"
    assert life.pod("export", export=EXPORTED)["outcome"] == "succeeded"
    life.collect_bucket()
    yield life
    s3.close()


def test_no_credential_is_in_anything_that_a_run_emits(life: Life) -> None:
    emitted = {**{name: text.encode() for name, text in life.printed.items()}, **life.stored, **life.processes}
    trainers_own = {name for name in emitted if name.endswith((": done.json", ": trainer.log"))}  # what it was told to
    found = [
        name for name in emitted.keys() - trainers_own for value in SECRETS.values() if value.encode() in emitted[name]
    ]
    assert found == []
    kinds = {name.rpartition(": ")[2] for name in emitted}
    assert kinds >= {"log", "verdict", "/progress", "/metrics", "cmdline", "environ", "spec.json"}
    assert any(name.endswith("exported.json") for name in emitted)


def test_every_verdict_says_where_the_logs_are_and_the_log_ends_with_it(life: Life) -> None:
    verdicts = [json.loads(text) for name, text in life.printed.items() if name.endswith(": verdict")]
    folder = f"s3://{BUCKET}/lab/runs/team/tire-0a1b2c3d/logs/"
    assert [verdict["logsURI"] for verdict in verdicts] == [folder] * 4
    for key, data in life.stored.items():
        if key.endswith("/agent.log"):
            assert b" INFO verdict {" in data.splitlines()[-1]


def test_nothing_that_people_read_attacks_them(life: Life) -> None:
    """Documents for programs keep names as they are, with escapes; a browser joins what a joiner joins."""
    [page] = [data.decode() for name, data in life.stored.items() if name.endswith("report.html")]
    logs = {
        f"{key}: logs": data.decode() for key, data in life.stored.items() if key.endswith(".log") and "/logs/" in key
    }
    assert len(logs) == 7  # of four agents, two trainers and an exporter
    read = {**life.printed, **logs, "page": page.replace("\u200d", "")}
    assert [name for name, text in read.items() if DANGEROUS.search(text.replace("\n", ""))] == []
    arrived = {name.rpartition(": ")[2] for name, text in read.items() if MARK in text}
    assert arrived >= {"verdict", "log", "logs", "page"}
    not_ours = ("/trainer.log: logs", "/exporter.log: logs")  # each line of these is the trainer's own
    assert not any("\n2026-01-01 CRITICAL" in text for name, text in read.items() if not name.endswith(not_ours))
