"""Lives through the schedule of a seed: starts pods as the operator does, ends them, and checks what they leave.

Invariant: a pod that meets no faults succeeds; any other succeeds, leaves a verdict that is retried, or was killed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from agent_run import resolved_document
from trchaosstorage import invariants
from trchaosstorage.bucket import Bucket
from trchaosstorage.injector import Injector
from trchaosstorage.schedule import End, Schedule, Stage, schedule_of
from trcluster import waiting
from trdemo.trainer_stand_in import EXPORTED
from trfakes.flaky_s3 import flaky_s3
from trservers import catalogue
from trservers.server import Server
from voc_data import jpeg, voc
from whole_life import Life, Pod

IMAGES: Final = {"train": 6, "eval": 3}
STEPS: Final = 60
SCORES: Final = {"10": 0.25, "20": 0.5, "30": 0.375, "40": 0.625, "50": 0.375, "60": 0.5}
PLANS: Final[dict[Stage, dict[str, object]]] = {
    "prep": {},
    "train": {"save_every": 10, "seconds_per_step": 0.05, "scores": SCORES},
    "export": {"export": EXPORTED},
}
RETRIED: Final = {"storageOutage", "interrupted", "crash"}
"""Outcomes after which the operator starts the next attempt."""
MAX_ATTEMPTS: Final = 8
PATIENCE: Final = 300.0
"""Seconds for one pod, on a busy machine; on an idle one few take ten."""
CANARY: Final = "canary/Secret+of/a/faulty+life/0123456789"


@dataclass
class Result:
    """What one life met and which promises were broken."""

    seed: int
    seconds: float
    pods: int
    injected: dict[str, int]
    ends: dict[str, int]  # how pods ended, and how often
    violations: list[str]


@dataclass
class _Running:
    life: Life
    bucket: Bucket
    injector: Injector
    schedule: Schedule
    lost: list[Pod] = field(default_factory=list)  # pods whose node is lost: they still run
    ends: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def stage(self, stage: Stage) -> bool:
        """Start pods until the stage has succeeded; False when it never does."""
        for number in range(MAX_ATTEMPTS):
            attempt = self.schedule.attempt(stage, number)
            newest = self.bucket.newest_checkpoint()
            pod = self.life.start(stage, dict(PLANS[stage]))
            self.injector.begin(attempt, partial(self._end, pod))
            waiting.until(partial(self._is_over, pod), what=f"the end of {pod.name}", seconds=PATIENCE, every=0.1)
            if pod in self.lost:
                continue
            self._take(pod, newest)
            outcome = (pod.verdict or {}).get("outcome")
            if outcome == "succeeded":
                return True
            if not self._may_end_so(pod, outcome, faulty=number < len(self.schedule.attempts[stage])):
                return False
        self.violations.append(f"{stage}: no attempt of {MAX_ATTEMPTS} succeeded")
        return False

    def finish(self) -> None:
        """Wait for the pods whose nodes were lost, without faults."""
        for pod in self.lost:
            waiting.until(partial(self.life.look, pod), what=f"the end of {pod.name}", seconds=PATIENCE)
            self._take(pod, 0)
            outcome = (pod.verdict or {}).get("outcome")
            if outcome not in {*RETRIED, "succeeded"}:
                self.violations.append(f"{pod.name}, whose node was lost: {pod.verdict}")

    def _may_end_so(self, pod: Pod, outcome: str | None, *, faulty: bool) -> bool:
        ended = outcome in RETRIED or (outcome is None and pod.agent.returncode == -signal.SIGKILL)
        if ended and faulty:
            return True
        self.violations.append(f"{pod.name} ({'with' if faulty else 'without'} faults): {pod.verdict}")
        return False

    def _is_over(self, pod: Pod) -> bool:
        return pod in self.lost or self.life.look(pod)

    def _take(self, pod: Pod, newest: int) -> None:
        """Read what a pod left, and compare what it says with the bucket; `newest` is the checkpoint at its start."""
        if pod.verdict is None and pod.trainer is not None:
            _signal(pod.trainer, signal.SIGKILL)  # as the kubelet does when nobody answers its probe
        self.life.collect(pod)
        verdict = pod.verdict or {"outcome": "no verdict", "reason": "killed"}
        self.ends["{outcome}: {reason}".format(**verdict)] += 1
        self.violations += invariants.of_pod(pod, self.bucket, newest=newest, evaluated=map(int, SCORES))

    def _end(self, pod: Pod, end: End) -> None:
        """Called while a request of the pod waits for its answer."""
        if end is End.NODE_LOST:
            self.lost.append(pod)
        if end in (End.AGENT_KILLED, End.POD_KILLED):
            _signal(pod.agent, signal.SIGKILL)
        if end in (End.TRAINER_KILLED, End.POD_KILLED):
            _signal(pod.trainer, signal.SIGKILL)
        if end is End.POD_TERMINATED:
            _signal(pod.agent, signal.SIGTERM)
            _signal(pod.trainer, signal.SIGTERM)


def live(seed: int, server: Server, *, keep: bool = False) -> Result:
    """Live through the schedule of a seed on this server; `keep` leaves the folder of its pods."""
    began, schedule, injector = time.monotonic(), schedule_of(seed), Injector()
    root = Path(tempfile.mkdtemp(prefix=f"chaos-storage-{seed}-"))
    name = f"chaos-{os.getpid()}-{seed}"
    with flaky_s3(server.endpoint, address="127.0.0.1") as (proxy, endpoint):
        proxy.flaky, proxy.fault_of = False, injector.fault_of
        life = _new_life(root, server, name, endpoint, schedule)
        running = _Running(life, Bucket(server.client, name), injector, schedule)
        with _no_process_left(life):
            done = all([running.stage("prep"), running.stage("train"), running.stage("export")])
            running.finish()
        violations = running.violations + (invariants.of_bucket(running.bucket, life) if done else [])
    life.collect_bucket()
    violations += invariants.secrets(life, (root / "credentials" / "AWS_SECRET_ACCESS_KEY").read_text())
    if not keep:
        server.remove_bucket(name)
        shutil.rmtree(root, ignore_errors=True)
    seconds = time.monotonic() - began
    return Result(seed, seconds, len(life.pods), dict(injector.injected), dict(running.ends), violations)


def _new_life(root: Path, server: Server, name: str, endpoint: str, schedule: Schedule) -> Life:
    server.client.create_bucket(Bucket=name)
    keep = None if schedule.keeps is None else {"last": schedule.keeps, "best": 1, "everyHours": None}
    document = resolved_document(endpoint, name, steps=STEPS, keepCheckpoints=keep)
    document["storage"]["outageToleranceSeconds"] = 3
    for split, count in IMAGES.items():
        for number in range(count):
            server.client.put_object(Bucket=name, Key=f"{split}/{number}.jpg", Body=jpeg(seed=f"{split}{number}"))
            server.client.put_object(Bucket=name, Key=f"{split}/{number}.xml", Body=voc())
        document["dataset"][split] = {"bucket": name, "key": f"{split}/", "imageSet": None}
    (root / "resolved.json").write_text(json.dumps(document))
    (root / "credentials").mkdir()
    server.write_account(root / "credentials")
    if server.name == catalogue.MOTO:  # which takes any account; that of its own is a word
        (root / "credentials" / "AWS_SECRET_ACCESS_KEY").write_text(CANARY)
    return Life(root, server.client, name, seconds=PATIENCE)


@contextmanager
def _no_process_left(life: Life) -> Iterator[None]:
    try:
        yield
    finally:
        for pod in life.pods:
            for process in (pod.agent, pod.trainer):
                _signal(process, signal.SIGKILL)
                if process is not None:
                    process.wait()


def _signal(process: subprocess.Popen[bytes] | None, number: signal.Signals) -> None:
    if process is not None and process.poll() is None:
        with suppress(ProcessLookupError):
            process.send_signal(number)
