"""Why a pod has no room, in amounts: what it asks for, what the largest node has, and how much of that is free.

The scheduler says what is lacking, not how much. Nodes are known only where the operator may list them; without them
the message says what the pod asks for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trainingrun.api import reasons
from trainingrun.api.names import GPU_RESOURCE
from trainingrun.api.reason import Reason
from trainingrun.domain.nodes import Node, Nodes
from trainingrun.domain.observe import PodView
from trainingrun.domain.quantities import amount
from trainingrun.domain.texts import sentences

_LACKING: Final = re.compile(r"Insufficient ([a-zA-Z0-9./_-]*[a-zA-Z0-9])")
_NO_LABELS: Final = "didn't match Pod's node affinity/selector"


@dataclass(frozen=True, slots=True)
class Room:
    """Why there is no room: the case of the reason, and a sentence with amounts."""

    reason: Reason
    sentence: str = ""


def lacking(pod: PodView) -> str:
    """Return the resource of which there is too little for a pod; one that no node has counts before all others."""
    named = _LACKING.findall(pod.unschedulable)
    return GPU_RESOURCE if GPU_RESOURCE in named else next(iter(named), "")


def largest_node(pod: PodView, nodes: Nodes) -> Node | None:
    """Return the node with most of what the pod lacks, of those that have the labels that it asks for."""
    resource = lacking(pod)
    fitting = (node for node in nodes.all if pod.node_selector.items() <= node.labels.items())
    return max(fitting, key=lambda node: (node.allocatable.get(resource, Decimal()), node.name), default=None)


def explain(pod: PodView, nodes: Nodes) -> Room:
    """Return why a pod has no room."""
    resource = lacking(pod)
    node = largest_node(pod, nodes)
    if nodes.all and node is None:
        wanted = ", ".join(f"{key}={value}" for key, value in pod.node_selector.items())
        return Room(reasons.POD_FITS_NO_LABELS, f"No node has the labels {wanted}")
    if not resource:
        known = reasons.POD_FITS_NO_LABELS if _NO_LABELS in pod.unschedulable else reasons.POD_UNSCHEDULABLE
        return Room(known)
    asked, has = pod.asks.get(resource), node.allocatable.get(resource, Decimal()) if node else None
    of_gpu = resource == GPU_RESOURCE
    asks = f"It asks for {_amount(resource, asked)}" if asked else ""
    if not asked or has is None:
        return Room(reasons.POD_LACKS_GPU if of_gpu else reasons.POD_LACKS_ROOM, asks)
    if not has:
        return Room(reasons.POD_LACKS_GPU if of_gpu else reasons.POD_FITS_NOWHERE, f"{asks}, and no node has any")
    assert node is not None
    free = nodes.free.get(node.name, {}).get(resource)
    of_which = "" if free is None else f", of which {amount(resource, max(free, Decimal()))} is free"
    sentence = f"{asks}; the largest node has {amount(resource, has)}{of_which}"
    if asked <= has:
        return Room(reasons.POD_LACKS_GPU if of_gpu else reasons.POD_LACKS_ROOM, sentence)
    return Room(reasons.POD_FITS_NOWHERE, sentences(f"{sentence}: this can never fit"))


def _amount(resource: str, value: Decimal) -> str:
    units = {"cpu": " CPU", "memory": " of memory", "ephemeral-storage": " of ephemeral-storage"}
    return f"{amount(resource, value)}{units.get(resource, f' {resource}')}"
