"""Watch a run from apply to its end as a user does: with repeated `kubectl get`, and with TensorBoard."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Final

from trcluster.command import CommandError
from trcluster.waiting import until
from trdemo.follow import condition
from trdemo.installation import Installation, Object

POLL_SECONDS: Final = 0.5
LOSS: Final = "Loss/total_loss"


@dataclass
class WatchedRun:
    """A finished run and what was observed while it was running."""

    namespace: str
    name: str
    uid: str
    status: dict[str, Any] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)  # distinct values of the Progress column of `kubectl get`
    progress: list[tuple[float, dict[str, Any]]] = field(default_factory=list)  # status.progress, and when it was seen
    curve_in_training: list[Any] = field(default_factory=list)

    def progress_of(self, stage: str) -> list[tuple[float, dict[str, Any]]]:
        """Return what `status.progress` was while a stage ran, with the seconds until the stage was over."""
        seen = [(at, shown) for at, shown in self.progress if shown.get("stage") == stage]
        over = min((at for at, _ in self.progress if seen and at > seen[-1][0]), default=0.0)
        return [(over - at, shown) for at, shown in seen]

    @property
    def prefix(self) -> str:
        """Key prefix of the run in its bucket."""
        return f"runs/{self.namespace}/{self.name}-{self.uid[:8]}/"


def watch(installation: Installation, run: Object, *, namespace: str, seconds: float) -> WatchedRun:
    """Apply a run and watch it until it has finished, successfully or not."""
    name = installation.apply(run, namespace=namespace)
    uid = installation.target.kubectl.get("trainingrun", name, namespace=namespace)["metadata"]["uid"]
    watched = WatchedRun(namespace, name, uid)

    def finished() -> bool:
        watched.status = installation.status(name, namespace=namespace)
        progress = watched.status.get("progress", {})
        if progress and (not watched.progress or watched.progress[-1][1] != progress):
            watched.progress.append((time.monotonic(), progress))
        column = _progress_column(installation, name, namespace)
        if not watched.columns or watched.columns[-1] != column:
            watched.columns.append(column)
        if watched.status.get("phase") == "Training" and not watched.curve_in_training:
            with contextlib.suppress(OSError):  # TensorBoard may still be starting; test_tire.py checks that it served
                watched.curve_in_training = loss_curve(installation, name, namespace=namespace)
        return condition(watched.status, "Finished") == "True"

    until(
        finished,
        what=f"the end of {namespace}/{name}",
        seconds=seconds,
        every=POLL_SECONDS,
        not_yet=(CommandError,),
        seen=lambda: json.dumps(watched.status, indent=1),
    )
    return watched


def loss_curve(installation: Installation, name: str, *, namespace: str) -> list[Any]:
    """Read the total loss from TensorBoard's HTTP API, as points [wall time, step, value]."""
    service = installation.target.kubectl.get("service", f"{name}-tensorboard", namespace=namespace)
    base = f"http://{service['spec']['clusterIP']}:6006/data/plugin/scalars"
    with urllib.request.urlopen(f"{base}/tags", timeout=10) as answer:
        tags = json.load(answer)
    if LOSS not in tags.get("train", {}):
        return []
    with urllib.request.urlopen(f"{base}/scalars?run=train&tag=Loss%2Ftotal_loss", timeout=10) as answer:
        return list(json.load(answer))


def curve_until(installation: Installation, name: str, *, namespace: str, step: int, seconds: float) -> list[Any]:
    """Wait until TensorBoard serves the loss up to a step; returns all points."""
    points: list[Any] = []

    def reached() -> bool:
        nonlocal points
        points = loss_curve(installation, name, namespace=namespace)
        return bool(points) and points[-1][1] >= step

    what = f"TensorBoard of {namespace}/{name} to serve the loss up to step {step}"
    until(reached, what=what, seconds=seconds, every=1, not_yet=(OSError, CommandError), seen=lambda: points[-1:])
    return points


def _progress_column(installation: Installation, name: str, namespace: str) -> str:
    """The Progress column as `kubectl get` prints it."""
    header, row = installation.target.kubectl("get", "trainingruns", name, "-n", namespace).splitlines()[:2]
    return row[header.index("PROGRESS") : header.index("ETA")].strip()
