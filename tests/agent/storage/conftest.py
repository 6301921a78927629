"""Fixtures: stores of servers that differ from S3, or that refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from odd_answers import FAST
from odd_s3 import Oddities, OddS3, serve
from refusing_s3 import RefusingServer
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.storage.client import Limits
from trainingrun_agent.storage.s3 import S3Store, open_store


@pytest.fixture
def odd(make_config: Callable[..., AgentConfig]) -> Iterator[Callable[..., tuple[OddS3, S3Store]]]:
    """Run an odd server and open its bucket."""
    with ExitStack() as servers:

        def start(**oddities: Any) -> tuple[OddS3, S3Store]:
            bucket = servers.enter_context(serve(Oddities(**oddities)))
            return bucket, open_store(make_config(endpoint=bucket.endpoint), "detectors")

        yield start


@pytest.fixture(params=["obstore", "boto3"])
def by(request: pytest.FixtureRequest) -> Callable[[S3Store], S3Store]:
    """Have a store read and write with one of the clients."""

    def choose(store: S3Store) -> S3Store:
        if request.param == "boto3":
            store._bulk = None
        return store

    return choose


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
