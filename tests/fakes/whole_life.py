"""The pods of one run, with agents as real processes and a stand-in for the trainer; collects what they emit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
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
class Life:
    """What the pods of one run emitted, by what emitted it. `root` has resolved.json and the folder credentials."""

    root: Path
    s3: Any
    bucket: str
    trainer_log: str = ""
    printed: dict[str, str] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    processes: dict[str, bytes] = field(default_factory=dict)

    def pod(self, stage: str, **plan: Any) -> dict[str, Any]:
        """Run the pod of a stage to its end, with this plan for a trainer; returns its verdict."""
        name = f"{stage}-{len(self.printed)}"
        shared, termination, port = self.root / name, self.root / f"{name}.termination", free_port()
        shared.mkdir()
        if plan:  # as the trainer's wrapper copies it
            (shared / "trainer.log").write_text(self.trainer_log, errors="replace")
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
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="lab/"):
            for entry in page["Contents"]:
                key = entry["Key"]
                self.stored[f"{key}: key"] = key.encode()
                self.stored[key] = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def _trainer(self, shared: Path, plan: dict[str, Any]) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(FAKE_TRAINER), str(shared), json.dumps(plan)])

    def _look(self, name: str, agent: subprocess.Popen[bytes], port: int) -> bool:
        """Look at what a pod serves and how its processes were started; return whether it has ended."""
        for path in ("progress", "metrics"):
            with (
                suppress(OSError, HTTPException),  # the agent may end while it answers
                urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer,
            ):
                self.printed[f"{name}: /{path}"] = answer.read().decode()
        for process in (agent.pid, *children(agent.pid)):
            for file in ("cmdline", "environ"):
                with suppress(OSError):
                    self.processes[f"{name}: {process}: {file}"] = Path(f"/proc/{process}/{file}").read_bytes()
        return agent.poll() is not None


def children(process: int) -> list[int]:
    """The processes that a process has started."""
    try:
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
