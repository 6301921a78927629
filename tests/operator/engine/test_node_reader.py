"""Nodes are read seldom, within bounds, and not at all where the operator may not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

import pytest

from trainingrun.api.clock import Clock
from trainingrun.engine import node_reader
from trainingrun.engine.node_reader import KNOWN_SECONDS, NodeReader
from trainingrun.kube.client import Api
from trainingrun.kube.errors import KubeError, RefusedError
from trfakes.builders import a_pod

POD = a_pod(unschedulable="0/2 nodes are available: 2 Insufficient cpu.", asks={"cpu": Decimal(3)})


def node(name: str, cpu: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"allocatable": {"cpu": cpu}}}


def running(cpu: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"resources": {"requests": {"cpu": cpu}}}]}}


class FakeApi:
    """Answers lists of nodes and pods, or fails with an error by path."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.items: dict[str, list[dict[str, Any]]] = {
            "/api/v1/nodes": [node("small", "1"), node("large", "2")],
            "/api/v1/pods": [running("800m"), running("300m")],
        }
        self.errors: dict[str, KubeError] = {}

    async def call(self, _method: str, path: str, *, query: dict[str, str]) -> dict[str, Any]:
        self.calls.append((path, query.get("fieldSelector", "")))
        # A field of all pods of a cluster: only the memory of the API server has an index of it.
        assert ("resourceVersion" in query) is (path == "/api/v1/pods")
        if path in self.errors:
            raise self.errors[path]
        return {"items": self.items[path]}


class Setting:
    def __init__(self, *, allowed: bool = True) -> None:
        self.api, self.seconds = FakeApi(), 0.0
        self.reader = NodeReader(cast("Api", self.api), allowed=allowed, clock=Clock(monotonic=lambda: self.seconds))


async def test_what_is_free_is_read_of_the_largest_node_alone() -> None:
    setting = Setting()
    assert await setting.reader.read_for(POD)
    known = setting.reader.known
    assert [each.name for each in known.all] == ["small", "large"]
    assert known.free == {"large": {"cpu": Decimal("0.9")}}
    selector = "spec.nodeName=large,status.phase!=Succeeded,status.phase!=Failed"
    assert setting.api.calls == [("/api/v1/nodes", ""), ("/api/v1/pods", selector)]


async def test_nodes_are_read_once_a_minute_whoever_waits() -> None:
    setting = Setting()
    await setting.reader.read_for(POD)
    for _ in range(10):
        assert not await setting.reader.read_for(POD)
    assert len(setting.api.calls) == 2
    setting.seconds = KNOWN_SECONDS
    assert not await setting.reader.read_for(POD)  # the same as before
    assert len(setting.api.calls) == 4
    setting.seconds, setting.api.items["/api/v1/pods"] = 2 * KNOWN_SECONDS, []
    assert await setting.reader.read_for(POD)


async def test_an_installation_without_the_right_asks_for_nothing() -> None:
    setting = Setting(allowed=False)
    assert not await setting.reader.read_for(POD)
    assert (setting.api.calls, setting.reader.known.all) == ([], ())


@pytest.mark.parametrize("path", ["/api/v1/nodes", "/api/v1/pods"])
async def test_a_right_that_is_missing_is_no_error(path: str) -> None:
    setting = Setting()
    setting.api.errors[path] = RefusedError("nodes is forbidden", status=403)
    await setting.reader.read_for(POD)
    known = setting.reader.known
    assert bool(known.all) is (path == "/api/v1/pods")
    assert known.free.get("large", {}) == {}
    calls = len(setting.api.calls)
    await setting.reader.read_for(POD)
    assert len(setting.api.calls) == calls


async def test_a_cluster_that_is_too_large_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_reader, "MAX_NODES", 1)
    setting = Setting()
    await setting.reader.read_for(POD)
    assert setting.reader.known.all == ()


async def test_a_node_with_too_many_pods_has_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_reader, "MAX_PODS", 1)
    setting = Setting()
    await setting.reader.read_for(POD)
    assert setting.reader.known.free == {"large": {}}
