"""The operator installed on a cluster with a bucket: apply runs and wait for their status, for end-to-end tests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import yaml

from trcluster.command import CommandError
from trcluster.waiting import until
from trdemo import install
from trdemo.bucket import Bucket
from trdemo.follow import condition
from trdemo.target import Target

Object = dict[str, Any]
# Small requests, so that on a two-core node the pods of a test do not wait for a free processor.
SMALL: Mapping[str, Any] = {"requests": {"cpu": "50m", "memory": "128Mi"}}
SMALL_PREP: Mapping[str, Any] = {"pod": {"resources": SMALL}}


@dataclass(frozen=True, slots=True)
class Installation:
    """The operator on a cluster, and a bucket; `images` maps image names to references."""

    target: Target
    images: Mapping[str, str]
    bucket: Bucket

    def apply(self, run: Object, *, namespace: str) -> str:
        """Apply a TrainingRun; returns its name."""
        self.target.kubectl.apply({**run, "metadata": {**run["metadata"], "namespace": namespace}})
        return str(run["metadata"]["name"])

    def status(self, name: str, *, namespace: str) -> Object:
        """Status of a run; empty before the operator has written it."""
        found: Object = self.target.kubectl.get("trainingrun", name, namespace=namespace).get("status", {})
        return found

    def until(
        self, name: str, wanted: Callable[[Object], bool], *, namespace: str, seconds: float, what: str
    ) -> Object:
        """Wait for a status; raises WaitError that shows the last one when it does not come in time."""
        status: Object = {}

        def reached() -> bool:
            nonlocal status
            status = self.status(name, namespace=namespace)
            return wanted(status)

        until(
            reached,
            what=f"{what} of {namespace}/{name}",
            seconds=seconds,
            every=0.5,
            not_yet=(CommandError,),
            seen=lambda: f"the status\n{yaml.safe_dump(status)}",
        )
        return status

    def finished(self, name: str, *, namespace: str, seconds: float) -> Object:
        """Wait until a run has finished, successfully or not; returns its status."""
        return self.until(
            name,
            lambda status: condition(status, "Finished") == "True",
            namespace=namespace,
            seconds=seconds,
            what="the end of the run",
        )


def tire_run(name: str, **changes: Mapping[str, Any]) -> Object:
    """The sample `tire.yaml` with another name; `changes` are merged into the objects of its spec."""
    run: Object = yaml.safe_load(install.sample("tire.yaml").read_text())
    run["metadata"]["name"] = name
    spec = copy.deepcopy(run["spec"])
    for part, change in changes.items():
        spec[part] = {**spec.get(part, {}), **change} if isinstance(change, Mapping) else change
    return {**run, "spec": spec}


def small_run(name: str, *, train: Mapping[str, Any] = MappingProxyType({}), **changes: Any) -> Object:
    """A run that leaves the node room for others: no TensorBoard, small requests.

    It keeps its checkpoints, so that a bucket can be compared with what was in it before, however long ago.
    """
    export = {**SMALL_PREP, "evalImages": 5}
    train = {"keepCheckpoints": {"last": 100}, **train}
    return tire_run(name, prep=SMALL_PREP, export=export, tensorboard={"enabled": False}, train=train, **changes)


def stand_in_run(
    name: str, *, image: str, steps: int, train: Mapping[str, Any] = MappingProxyType({}), **changes: Any
) -> Object:
    """A small run whose trainer is the stand-in in `image`."""
    pod = {"resources": {**SMALL, "limits": {"memory": "256Mi"}}}
    return small_run(name, train={"steps": steps, "image": image, "stallSeconds": 30, "pod": pod, **train}, **changes)


def tensorflow_run(
    name: str, *, steps: int, save_every: int, train: Mapping[str, Any] = MappingProxyType({}), **changes: Any
) -> Object:
    """A small run whose trainer is TensorFlow, as users run it; it is evaluated at its last step only."""
    cadence = {"steps": steps, "saveEverySteps": save_every, "evalEverySteps": steps}
    pod = {"resources": {**SMALL, "limits": {"memory": "3Gi"}}}
    return small_run(name, train={**cadence, "pod": pod, **train}, **changes)
