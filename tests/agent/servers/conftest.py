"""Fixtures for tests that run against any server."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.stores import Stores


@pytest.fixture
def stores() -> Callable[[AgentConfig, str], ObjectStore]:
    """Open a bucket as stages use it: calls that may succeed later are repeated."""

    def opened(config: AgentConfig, bucket: str) -> ObjectStore:
        progress = Progress(stage="prep", pod_uid=config.pod_uid)
        return Stores(config, progress=progress, stop=threading.Event(), clock=Clock()).open(bucket)

    return opened


@pytest.fixture
def waiting_store(stores: Callable[[AgentConfig, str], ObjectStore], s3_config: AgentConfig) -> ObjectStore:
    """The empty bucket, opened so."""
    return stores(s3_config, s3_config.resolved.storage.bucket)
