"""One run watched from apply to its end, as a user does: `kubectl get` again and again, TensorBoard beside it."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Final

from trcluster.command import CommandError
from trcluster.waiting import until
from trdemo.follow import condition
from trdemo.scene import Object, Scene

POLL_SECONDS: Final = 0.5
LOSS: Final = "Loss/total_loss"


@dataclass
class Watched:
    """What was seen while the run went on, and its end."""

    namespace: str
    name: str
    uid: str
    status: dict[str, Any] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)  # `kubectl get`, every change of the Progress column
    curve_in_training: list[Any] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """Key prefix of the run in its bucket."""
        return f"runs/{self.namespace}/{self.name}-{self.uid[:8]}/"


def watch(scene: Scene, run: Object, *, namespace: str, seconds: float) -> Watched:
    """Apply a run and watch it to its end, whatever that is."""
    name = scene.apply(run, namespace=namespace)
    uid = scene.place.kubectl.get("trainingrun", name, namespace=namespace)["metadata"]["uid"]
    told = Watched(namespace, name, uid)

    def finished() -> bool:
        told.status = scene.status(name, namespace=namespace)
        column = _progress_column(scene, name, namespace)
        if not told.columns or told.columns[-1] != column:
            told.columns.append(column)
        if told.status.get("phase") == "Training" and not told.curve_in_training:
            with contextlib.suppress(OSError):  # it may still be starting; a test says whether it ever served
                told.curve_in_training = loss_curve(scene, name, namespace=namespace)
        return condition(told.status, "Finished") == "True"

    until(
        finished,
        what=f"the end of {namespace}/{name}",
        seconds=seconds,
        every=POLL_SECONDS,
        not_yet=(CommandError,),
        seen=lambda: json.dumps(told.status, indent=1),
    )
    return told


def loss_curve(scene: Scene, name: str, *, namespace: str) -> list[Any]:
    """Points [wall time, step, value] of the total loss, through TensorBoard's HTTP API behind its Service."""
    service = scene.place.kubectl.get("service", f"{name}-tensorboard", namespace=namespace)
    base = f"http://{service['spec']['clusterIP']}:6006/data/plugin/scalars"
    with urllib.request.urlopen(f"{base}/tags", timeout=10) as answer:
        tags = json.load(answer)
    if LOSS not in tags.get("train", {}):
        return []
    with urllib.request.urlopen(f"{base}/scalars?run=train&tag=Loss%2Ftotal_loss", timeout=10) as answer:
        return list(json.load(answer))


def curve_until(scene: Scene, name: str, *, namespace: str, step: int, seconds: float) -> list[Any]:
    """Wait until TensorBoard serves the loss up to a step; returns what it serves at last."""
    points: list[Any] = []

    def reached() -> bool:
        nonlocal points
        points = loss_curve(scene, name, namespace=namespace)
        return bool(points) and points[-1][1] >= step

    what = f"TensorBoard of {namespace}/{name} to serve the loss up to step {step}"
    until(reached, what=what, seconds=seconds, every=1, not_yet=(OSError, CommandError), seen=lambda: points[-1:])
    return points


def _progress_column(scene: Scene, name: str, namespace: str) -> str:
    """The Progress column as `kubectl get` prints it."""
    header, row = scene.place.kubectl("get", "trainingruns", name, "-n", namespace).splitlines()[:2]
    return row[header.index("PROGRESS") : header.index("ETA")].strip()
