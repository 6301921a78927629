"""Reads nodes when a pod has no room, and what is free on the one that could fit it best.

Invariant: it is read once a minute at most, whoever waits. Without the right to list nodes, or pods of all namespaces,
that part stays unknown, which is no error. A cluster that is too large is not read to its end: nothing is known of it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from trainingrun.api.clock import SYSTEM, Clock
from trainingrun.domain.nodes import Node, Nodes, requests_of
from trainingrun.domain.observe import PodView
from trainingrun.domain.room import largest_node
from trainingrun.kube import objects
from trainingrun.kube.client import Api
from trainingrun.kube.errors import KubeError

KNOWN_SECONDS: Final = 60.0
MAX_NODES: Final = 2000
MAX_PODS: Final = 1000  # of one node
log = logging.getLogger(__name__)


class NodeReader:
    """Shared by all runs of a process; `known` is what was read last."""

    def __init__(self, api: Api, *, allowed: bool, clock: Clock = SYSTEM) -> None:
        self._api, self._allowed, self._clock = api, allowed, clock
        self.known = Nodes()
        self._read_at: dict[str, float] = {}  # by node, and of all nodes under an empty name

    async def read_for(self, pod: PodView) -> bool:
        """Read what explains why this pod has no room; return whether anything is new."""
        before = self.known
        if self._allowed and self._must_read(""):
            self.known = Nodes(await self._read_nodes(), before.free)
        node = largest_node(pod, self.known)
        if node is not None and self._must_read(node.name):
            free = await self._read_free(node)
            kept = {name: known for name, known in self.known.free.items() if name in self._read_at}
            self.known = Nodes(self.known.all, {**kept, node.name: free})
        return self.known != before

    def _must_read(self, name: str) -> bool:
        """Return whether something was not read for a while, and note that it is read now."""
        now = self._clock.monotonic()
        self._read_at = {known: at for known, at in self._read_at.items() if now - at < KNOWN_SECONDS}
        return name not in self._read_at and self._read_at.setdefault(name, now) == now

    async def _read_nodes(self) -> tuple[Node, ...]:
        found: list[Node] = []
        try:
            async for body in objects.list_all(self._api, "Node", namespace=None):
                found.append(Node.from_object(body))
                if len(found) > MAX_NODES:
                    return ()
        except KubeError as error:
            log.info("nodes are not known: %s", error)
            return ()
        return tuple(found)

    async def _read_free(self, node: Node) -> Mapping[str, Decimal]:
        """Return what is free on a node; nothing where that cannot be known."""
        free = dict(node.allocatable)
        try:
            count = 0
            async for body in objects.list_all(self._api, "Pod", namespace=None, fields=_runs_on(node), cached=True):
                count += 1
                if count > MAX_PODS:
                    return {}
                for resource, value in requests_of(body.get("spec") or {}).items():
                    free[resource] = free.get(resource, Decimal()) - value
        except KubeError as error:
            log.info("what is free on node %s is not known: %s", node.name, error)
            return {}
        return free


def _runs_on(node: Node) -> str:
    return f"spec.nodeName={node.name},status.phase!=Succeeded,status.phase!=Failed"
