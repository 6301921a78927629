"""Inject the faults: one function for each kind, which returns when what it broke is whole again.

Invariant: only the end of the hit attempt is left, if the fault ends it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Final

from trchaosnode.fencing import lose_node, partition
from trchaosnode.hit import Hit
from trchaosnode.kinds import Kind
from trchaosnode.world import World

OPERATOR_SECONDS: Final = 400
"""The kubelet waits before it starts the operator's container again, longer each time, up to five minutes."""


def _kill_worker(_world: World, hit: Hit) -> None:
    os.kill(hit.worker, signal.SIGKILL)


def _kill_agent(_world: World, hit: Hit) -> None:
    os.kill(hit.agent, signal.SIGKILL)


def _delete_pod(world: World, hit: Hit) -> None:
    world.faults.delete_pod(hit.pod)


def _evict_pod(world: World, hit: Hit) -> None:
    world.faults.evict(hit.pod)


def _delete_job(world: World, hit: Hit) -> None:
    world.faults.delete_job(hit.pod)


def _kill_operator(world: World, _hit: Hit) -> None:
    with world.only("operator"):
        world.faults.operator_is_back(world.faults.kill_operator(), seconds=OPERATOR_SECONDS)


def _without(daemon: str, action: str = "kill", *, at: str) -> Callable[[World, Hit], None]:
    """A function that kills or pauses a daemon for the seconds of the fault's outage, one at a time of those at `at`.

    Nothing starts the kubelet again here if it ends because it finds no containerd; on other nodes systemd does.
    """

    def inject(world: World, hit: Hit) -> None:
        with world.only(at), world.faults.service_down(daemon, action):
            time.sleep(hit.fault.outage)

    return inject


def _cut_off_pod(world: World, hit: Hit) -> None:
    with world.faults.storage_unreachable(hit.pod):
        time.sleep(hit.fault.outage)


INJECT: Final[Mapping[Kind, Callable[[World, Hit], None]]] = {
    Kind.TRAINER_KILLED: _kill_worker,
    Kind.EXPORTER_KILLED: _kill_worker,
    Kind.AGENT_KILLED: _kill_agent,
    Kind.POD_DELETED: _delete_pod,
    Kind.POD_EVICTED: _evict_pod,
    Kind.JOB_DELETED: _delete_job,
    Kind.OPERATOR_KILLED: _kill_operator,
    Kind.KUBELET_KILLED: _without("kubelet", at="node"),
    Kind.KUBELET_PAUSED: _without("kubelet", "pause", at="node"),
    Kind.CONTAINERD_KILLED: _without("containerd", at="node"),
    Kind.S3_KILLED: _without("s3", at="s3"),
    Kind.POD_CUT_OFF: _cut_off_pod,
    Kind.PARTITION: partition,
    Kind.NODE_LOST: lose_node,
}
