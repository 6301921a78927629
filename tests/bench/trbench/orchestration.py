"""Measure the time that cluster and operator add to the containers' own work, and the time of a second run.

The run is the demo's, on a real node. A moment is when a watch reports a change, which is also when the operator learns
of it. A container works from its start to its end, which Kubernetes reports in whole seconds.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from trbench.measurements import Echo, Measurement
from trdemo import install
from trdemo.bucket import Bucket
from trdemo.follow import STAGES, condition
from trdemo.installation import Installation, tire_run
from trdemo.shell import DemoError, Kubectl
from trdemo.target import OwnCluster, choose

NAMESPACE, BUCKET, SECONDS = "bench", "detectors", 900.0  # the bucket that tire.yaml names
OVERHEAD, HANDOVER, PREP = 20.0, 1.0, 10.0  # limits, in seconds
STAGE_LABEL, RUN_LABEL = "trainingrun.dev/stage", "trainingrun.dev/run"

Object = dict[str, Any]


@dataclass
class WatchedObjects:
    """Newest version of each watched object by kind and name, and the moments of its changes."""

    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    moments: dict[tuple[str, str, str], float] = field(default_factory=dict)

    def note(self, kind: str, body: Object) -> None:
        """Store an object; record once when it was `created` and when its containers had `ended`."""
        now, name = time.time(), body["metadata"]["name"]
        self.objects[kind, name] = body
        self.moments.setdefault((kind, name, "created"), now)
        states = [each["state"] for each in body["status"].get("containerStatuses", ())]
        # The last pod is deleted with its Job before its phase shows the end.
        if states and all("terminated" in state for state in states):
            self.moments.setdefault((kind, name, "ended"), now)

    def stage(self, kind: str, run: str, stage: str) -> str:
        """Name of the only Job or pod of a stage; raises DemoError if there are more or none."""
        wanted = {RUN_LABEL: run, STAGE_LABEL: stage}
        found = [
            name
            for (each, name), body in self.objects.items()
            if each == kind and wanted.items() <= body["metadata"].get("labels", {}).items()
        ]
        if len(found) != 1:
            raise DemoError(f"stage {stage} of {run} had {len(found)} objects of kind {kind}, one was expected")
        return found[0]


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Times of one stage: its Job is created, its containers start and finish, its pod has ended."""

    stage: str
    created: float
    started: float
    finished: float
    ended: float

    @property
    def work(self) -> float:
        """Seconds from the first container's start to the last one's end."""
        return self.finished - self.started


def measure(echo: Echo) -> Iterator[Measurement]:
    """Run one TrainingRun to its end, then prepare the same data for a second one."""
    with _installation(echo) as installation, _watching(installation.target.kubectl) as seen:
        applied = time.time()
        installation.apply(tire_run("first"), namespace=NAMESPACE)
        status = installation.finished("first", namespace=NAMESPACE, seconds=SECONDS)
        total = time.time() - applied
        if condition(status, "Succeeded") != "True":
            raise DemoError(f"the run did not succeed: {status.get('message')}")
        yield from _first(seen, applied=applied, total=total)
        applied = time.time()
        installation.apply(tire_run("second"), namespace=NAMESPACE)
        installation.until("second", _prepared, namespace=NAMESPACE, seconds=120, what="preparation")
        yield from _second(seen, applied=applied)


def _prepared(status: Object) -> bool:
    return condition(status, "Prepared") == "True"


def _first(seen: WatchedObjects, *, applied: float, total: float) -> Iterator[Measurement]:
    parts = [_part(seen, "first", stage) for stage in STAGES]
    work = sum(part.work for part in parts)
    accepted = parts[0].created - applied
    around = ", ".join(f"{part.stage} {part.ended - part.created - part.work:.1f}" for part in parts)
    detail = f"of {total:.1f} s; before the first Job {accepted:.1f}, start and end of pods: {around}"
    yield Measurement("apply to Succeeded minus the containers' work", total - work, "s", OVERHEAD, detail)
    for before, after in pairwise(parts):
        name = f"end of the pod of {before.stage} to the Job of {after.stage}"
        yield Measurement(name, max(0.0, after.created - before.ended), "s", HANDOVER)


def _second(seen: WatchedObjects, *, applied: float) -> Iterator[Measurement]:
    part = _part(seen, "second", "prep")
    train = seen.moments["job", seen.stage("job", "second", "train"), "created"]
    yield Measurement("second run on the same data, apply to train's Job", train - applied, "s", PREP)
    yield Measurement("  of which its container of prep", part.work, "s", PREP)


def _part(seen: WatchedObjects, run: str, stage: str) -> StageTimes:
    job, pod = seen.stage("job", run, stage), seen.stage("pod", run, stage)
    ends = [each["state"]["terminated"] for each in seen.objects["pod", pod]["status"]["containerStatuses"]]
    return StageTimes(
        stage,
        seen.moments["job", job, "created"],
        min(_seconds(end["startedAt"]) for end in ends),
        max(_seconds(end["finishedAt"]) for end in ends),
        seen.moments["pod", pod, "ended"],
    )


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@contextmanager
def _installation(echo: Echo) -> Iterator[Installation]:
    planned = install.build_images(echo=echo)
    target = choose(name="default", echo=echo)
    try:
        target.load_images([item.archive for item in planned.values()])
        references = {name: item.reference for name, item in planned.items()}
        install.install_operator(target, references=references, values={})
        install.make_namespace(target, NAMESPACE)
        bucket = Bucket(target.storage, BUCKET)
        bucket.create()
        bucket.put_tires("tire/")
        yield Installation(target, references, bucket)
    finally:
        if isinstance(target, OwnCluster):
            target.cluster.down()
        else:
            target.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout=180)


@contextmanager
def _watching(kubectl: Kubectl) -> Iterator[WatchedObjects]:
    seen = WatchedObjects()
    watches = [_watch(kubectl, kind, seen) for kind in ("job", "pod")]
    try:
        yield seen
    finally:
        for process in watches:
            process.kill()
            process.wait()


def _watch(kubectl: Kubectl, kind: str, seen: WatchedObjects) -> subprocess.Popen[str]:
    where = ["--kubeconfig", kubectl.kubeconfig, "-n", NAMESPACE, "get", f"{kind}s", "-l", RUN_LABEL]
    argv = [kubectl.binary, *where, "--watch", "--output-watch-events", "-o", "json"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            seen.note(kind, json.loads(line)["object"])

    threading.Thread(target=read, daemon=True).start()
    return process
