"""Cut a node and its pod off until another pod has taken over, and see that the old pod changes nothing any more.

There is one node, so the next pod starts when the kubelet is back, which then ends the old one. Until the next pod has
claimed its epoch, the old one still cannot reach S3: what it then uploads comes too late, as from a node that lives on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Final

from trchaosnode.hit import Hit, require
from trchaosnode.watched_pod import WatchedPod, watched
from trchaosnode.world import World
from trcluster.command import CommandError
from trcluster.layout import NODE_NAME
from trcluster.waiting import until
from trdemo import stored_run
from trdemo.fault_scenario import entry_of
from trdemo.faults import Faults
from trdemo.installation import Object

DELETED_WITH_GRACE: Final = 60
"""Seconds of grace: the next pod has to claim its epoch while the old one still tries to upload its checkpoint."""
NOT_READY_SECONDS: Final = 150
TOLERATION_SECONDS: Final = 60
GIVEN_UP_SECONDS: Final = 180 + 10
"""The pod's own grace period, and the operator's lostPodSeconds in these tests."""
SLACK_SECONDS: Final = 60


def partition(world: World, hit: Hit) -> None:
    """Delete the pod of a node that is cut off, before Kubernetes does."""
    _replaced(world, hit, lambda: world.faults.delete_pod(hit.pod, f"--grace-period={DELETED_WITH_GRACE}"))


def lose_node(world: World, hit: Hit) -> None:
    """Cut the node off until Kubernetes taints it and deletes its pods: 60 s and the pods' own 180 s of grace."""
    _replaced(world, hit, lambda: _wait_for_taint(world, hit))
    world.nodes_lost += 1


def _replaced(world: World, hit: Hit, give_up: Callable[[], None]) -> None:
    """Cut the pod off and see what it does, with nobody else looking for the operator, whose pod is replaced too."""
    with world.only("operator"):
        _fenced(world, hit, give_up)
        _operator_is_ready(world.faults)


def _fenced(world: World, hit: Hit, give_up: Callable[[], None]) -> None:
    """Cut off node and pod until `give_up` has deleted the pod, then until the next pod has claimed its epoch."""
    scenario, uid = hit.scenario, hit.pod["metadata"]["uid"]
    bucket, prefix = world.faults.installation.bucket, stored_run.prefix_of(scenario.status())
    epoch = stored_run.epoch_of(bucket, prefix, uid)
    require(epoch, f"{uid}, which trains, has claimed no epoch")
    with watched(world.faults, hit.pod) as old:
        with world.faults.storage_unreachable(hit.pod):
            with world.only("node"), world.faults.node_unreachable():
                give_up()
                scenario.ended("train", hit.attempt)
            following = scenario.pod("train", hit.attempt + 1)["metadata"]["uid"]
            until(
                lambda: stored_run.epoch_of(bucket, prefix, following),
                what=f"attempt {hit.attempt + 1} to claim an epoch",
                seconds=scenario.seconds,
            )
            before = bucket.etags(prefix)
        _is_superseded(old, scenario.seconds)
    after = bucket.etags(prefix)
    own = f"{prefix}train/{epoch:04d}-{uid[:8]}/"
    changed = [key for key, tag in before.items() if after.get(key, tag) != tag and not _of_curves(key, own)]
    require(not changed, f"a pod that was replaced has overwritten {', '.join(changed)}")
    late = [key for key in after.keys() - before.keys() if key.startswith(own) and key.endswith(stored_run.MANIFEST)]
    require(not late, f"a pod that was replaced has published {', '.join(late)}")


def _of_curves(key: str, own: str) -> bool:
    """Whether a key is one of the pod's own that any pod may write at any time: events, newest step."""
    return key.startswith((f"{own}events/", f"{own}last.json"))


def _is_superseded(old: WatchedPod, seconds: float) -> None:
    message = until(old.verdict, what=f"the verdict of {old.name}", seconds=seconds, seen=lambda: old.last)
    found = verdict_of(message)
    require(found == ("interrupted", "Superseded"), f"the replaced pod {old.name} ended as {found}: {message}")


def verdict_of(message: str) -> tuple[str, str]:
    """Outcome and reason in a termination message; empty where it is no verdict."""
    try:
        verdict = json.loads(message)
        return verdict["outcome"], verdict["reason"]
    except (ValueError, KeyError, TypeError):
        return "", ""


def _wait_for_taint(world: World, hit: Hit) -> None:
    """Wait until the node counts as lost and the taint controller deletes the pod; print how long each took."""
    kubectl, began = world.faults.installation.target.kubectl, time.monotonic()
    name, namespace = hit.pod["metadata"]["name"], world.faults.namespace

    def seconds() -> str:
        return f"{time.monotonic() - began:.0f} s"

    def tainted() -> bool:
        taints = kubectl.get("node", NODE_NAME)["spec"].get("taints", ())
        return any((t["key"], t["effect"]) == ("node.kubernetes.io/unreachable", "NoExecute") for t in taints)

    def deleted() -> Object:
        pod = kubectl.get("pod", name, namespace=namespace)
        return dict(pod) if pod["metadata"].get("deletionTimestamp") else {}

    until(tainted, what="the taint of a node that is lost", seconds=NOT_READY_SECONDS, not_yet=(CommandError,))
    world.echo(f"node lost: tainted after {seconds()}")
    what = f"the taint controller to delete {name}"
    pod = until(deleted, what=what, seconds=TOLERATION_SECONDS + SLACK_SECONDS, not_yet=(CommandError,))
    world.echo(f"node lost: pod deleted after {seconds()}")
    reasons = [c.get("reason") for c in pod["status"]["conditions"] if c["type"] == "DisruptionTarget"]
    require(reasons == ["DeletionByTaintManager"], f"{name} was deleted by {reasons}")
    hit.scenario.until(
        lambda s: entry_of(s, "train").get("ended", 0) >= hit.attempt,
        f"attempt {hit.attempt} to be given up",
        seconds=GIVEN_UP_SECONDS + SLACK_SECONDS,
    )
    world.echo(f"node lost: pod given up after {seconds()}")


def _operator_is_ready(faults: Faults) -> None:
    """Wait until there is one operator, which is ready: its pod is deleted half a minute after its node was lost."""

    def ready() -> bool:
        pod = faults.operator()
        return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))

    until(ready, what="the operator to be ready", seconds=300, not_yet=(CommandError, ValueError))
