"""Fixtures: the whole operator in the test process, connected to the fake API server over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from trfakes.apiserver import ApiServer
from trfakes.builders import SETTINGS
from trfakes.fake_cluster import FakeCluster, Script, verdict
from trfakes.harness import World
from trfakes.store import Object, Store


def succeed(job: Object) -> dict[str, Any]:
    """Script of a fake cluster in which every Job succeeds."""
    return verdict(job["metadata"]["labels"]["trainingrun.dev/stage"])


@pytest.fixture
def script() -> Script | None:
    """Script that ends Jobs; None if the test ends each Job itself."""
    return succeed


@pytest_asyncio.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script | None) -> AsyncIterator[World]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    store = Store()
    async with ApiServer(store) as server:
        kubeconfig = str(server.kubeconfig(tmp_path))
        monkeypatch.setenv("KUBECONFIG", kubeconfig)  # kopf's
        monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", kubeconfig)
        world = World(server, store, FakeCluster(store, script=script), SETTINGS)
        yield world
        server.dead = False
        await asyncio.gather(*(running.stop() for running in world.operators if not running.task.done()))
