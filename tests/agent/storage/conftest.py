"""A server of S3 that refuses, and its store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from odd_answers import FAST
from refusing_s3 import RefusingServer
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.storage.client import Limits
from trainingrun_agent.storage.s3 import S3Store, open_store


@pytest.fixture
def refusing() -> Iterator[RefusingServer]:
    """A server that refuses."""
    made = RefusingServer()
    yield made
    made.stop()


@pytest.fixture
def open_at(make_config: Callable[..., AgentConfig], refusing: RefusingServer) -> Callable[..., S3Store]:
    """Open the server's store, with fields of `storage` by keyword."""

    def open_with(limits: Limits = FAST, **storage: Any) -> S3Store:
        return open_store(make_config(**{"endpoint": refusing.endpoint, **storage}), "detectors", limits=limits)

    return open_with
