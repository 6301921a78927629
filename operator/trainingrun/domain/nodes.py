"""Nodes of the cluster, and what the scheduler reserves for a pod."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from trainingrun.domain.quantities import parsed


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its labels, and what pods can have of it."""

    name: str
    labels: Mapping[str, str]
    allocatable: Mapping[str, Decimal]

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> Node:
        """Read a Node."""
        meta, status = body["metadata"], body.get("status") or {}
        allocatable = {name: parsed(text) for name, text in (status.get("allocatable") or {}).items()}
        return cls(meta["name"], meta.get("labels") or {}, allocatable)


@dataclass(frozen=True, slots=True)
class Nodes:
    """All nodes of the cluster, and what is free on those whose pods were read."""

    all: tuple[Node, ...] = ()
    free: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)


UNKNOWN: Final = Nodes()


def requests_of(spec: Mapping[str, Any]) -> dict[str, Decimal]:
    """Return what the scheduler reserves: the containers and sidecars together, or the largest init container."""
    init = spec.get("initContainers") or ()
    sidecars = [each for each in init if each.get("restartPolicy") == "Always"]
    total = _sum([*(spec.get("containers") or ()), *sidecars])
    for each in init:
        for name, value in _sum([each]).items():
            total[name] = max(total.get(name, Decimal()), value)
    for name, text in (spec.get("overhead") or {}).items():
        total[name] = total.get(name, Decimal()) + parsed(text)
    return total


def _sum(containers: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for container in containers:
        for name, text in ((container.get("resources") or {}).get("requests") or {}).items():
            total[name] = total.get(name, Decimal()) + parsed(text)
    return total
