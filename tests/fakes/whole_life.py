"""The pods of one run, with agents as real processes and a stand-in for the trainer; collects what they emit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from agent_run import FAKE_TRAINER
from trcluster import waiting
from trfakes.harness import free_port

PACKAGE = Path(__file__).parents[2] / "images" / "agent"
SECONDS = 120  # on a busy machine; on an idle one no stage takes three


@dataclass
class Pod:
    """The processes of one pod; `trainer` is None in a pod without one."""

    name: str
    uid: str
    root: Path
    port: int
    agent: subprocess.Popen[bytes]
    trainer: subprocess.Popen[bytes] | None

    @property
    def shared(self) -> Path:
        """Its shared folder."""
        return self.root / self.name

    @property
    def verdict(self) -> dict[str, Any] | None:
        """What the agent left as its termination message; None if it left none, as when it was killed."""
        try:
            document = json.loads((self.root / f"{self.name}.termination").read_text())
        except (OSError, ValueError):
            return None
        return document if isinstance(document, dict) and "outcome" in document else None


@dataclass
class Life:
    """What the pods of one run emitted, by what emitted it. `root` has resolved.json and the folder credentials.

    A pod may take `seconds`.
    """

    root: Path
    s3: Any
    bucket: str
    trainer_log: str = ""
    printed: dict[str, str] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    processes: dict[str, bytes] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    seconds: float = SECONDS

    def pod(self, stage: str, **plan: Any) -> dict[str, Any]:
        """Run the pod of a stage to its end, with this plan for a trainer; returns its verdict."""
        pod = self.start(stage, plan)
        waiting.until(lambda: self.look(pod), what=f"the end of {pod.name}", seconds=self.seconds, every=0.05)
        self.collect(pod)
        assert pod.verdict is not None
        return pod.verdict

    def start(self, stage: str, plan: dict[str, Any]) -> Pod:
        """Start the pod of a stage; without a plan it has no trainer."""
        name = f"{stage}-{len(self.pods)}"
        shared, port = self.root / name, free_port()
        shared.mkdir()
        if plan:  # as the trainer's wrapper copies it
            (shared / "trainer.log").write_text(self.trainer_log, errors="replace")
        paths = {"resolved": "resolved.json", "credentials": "credentials", "ca-bundle": "ca.crt"}
        flags = [f"--{flag}={self.root / place}" for flag, place in paths.items()]
        flags += [f"--shared={shared}", f"--termination-log={self.root / name}.termination", f"--port={port}"]
        env = {**os.environ, "POD_IP": "127.0.0.1", "TRAININGRUN_ATTEMPT": str(len(self.pods) + 1)}
        env["POD_UID"] = uid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.bucket}/{name}"))
        env["PYTHONPATH"] = os.pathsep.join([str(PACKAGE), env.get("PYTHONPATH", "")])
        with (self.root / f"{name}.log").open("wb") as out:
            agent = subprocess.Popen(
                [sys.executable, "-m", "trainingrun_agent", stage, *flags], env=env, stdout=out, stderr=out
            )
        self.pods.append(Pod(name, uid, self.root, port, agent, self.start_trainer(shared, plan) if plan else None))
        return self.pods[-1]

    def start_trainer(self, shared: Path, plan: dict[str, Any]) -> subprocess.Popen[bytes]:
        """Start what stands in for the trainer of a pod."""
        return subprocess.Popen([sys.executable, str(FAKE_TRAINER), str(shared), json.dumps(plan)])

    def look(self, pod: Pod) -> bool:
        """Look at what a pod serves and how its processes were started; return whether its agent has ended."""
        for path in ("progress", "metrics"):
            with (
                suppress(OSError, HTTPException),  # the agent may end while it answers
                urllib.request.urlopen(f"http://127.0.0.1:{pod.port}/{path}", timeout=5) as answer,
            ):
                self.printed[f"{pod.name}: /{path}"] = answer.read().decode()
        for process in (pod.agent.pid, *children(pod.agent.pid)):
            for file in ("cmdline", "environ"):
                with suppress(OSError):
                    self.processes[f"{pod.name}: {process}: {file}"] = Path(f"/proc/{process}/{file}").read_bytes()
        return pod.agent.poll() is not None

    def collect(self, pod: Pod) -> None:
        """Wait for the end of the trainer and read what the pod left."""
        if pod.trainer is not None:
            pod.trainer.wait(self.seconds)
        self.printed[f"{pod.name}: log"] = (self.root / f"{pod.name}.log").read_text()
        if pod.verdict is not None:
            self.printed[f"{pod.name}: verdict"] = (self.root / f"{pod.name}.termination").read_text()
        left = (path for path in pod.shared.rglob("*") if path.is_file())
        self.stored |= {f"{pod.name}: {path.name}": path.read_bytes() for path in left}

    def collect_bucket(self) -> None:
        """Read every object that the run wrote."""
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="lab/"):
            for entry in page["Contents"]:
                key = entry["Key"]
                self.stored[f"{key}: key"] = key.encode()
                self.stored[key] = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()


def children(process: int) -> list[int]:
    """The processes that a process has started."""
    try:
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
