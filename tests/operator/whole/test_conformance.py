"""The fake API server over HTTP and the model of the fault schedules answer the same to the same calls.

A real API server is compared with the model in tests/api/test_conformance.py.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from trchaos.store import ChaosStore
from trfakes.answers import Answers
from trfakes.apiserver import ApiServer
from trfakes.conformance import Sequence
from trfakes.store import Store


def by_model(seed: int) -> list[str]:
    """Outcomes of a sequence in the model."""
    store = ChaosStore(now=lambda: datetime(2026, 1, 1, tzinfo=UTC), chance=random.Random(0))  # noqa: S311
    answers = Answers(store)

    async def call(
        method: str, path: str, query: Mapping[str, str], body: dict[str, Any] | None
    ) -> tuple[int, dict[str, Any]]:
        return answers.to(method, path, query=query, body=body or {})

    return asyncio.run(Sequence(seed, call, namespace="default").outcomes())


@pytest.mark.parametrize("seed", range(20))
async def test_calls_over_http_are_answered_as_in_the_model(seed: int) -> None:
    async with ApiServer(Store()) as server, aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:

        async def call(
            method: str, path: str, query: Mapping[str, str], body: dict[str, Any] | None
        ) -> tuple[int, dict[str, Any]]:
            async with session.request(method, path, params=query, json=body) as answer:
                return answer.status, await answer.json()

        outcomes = await Sequence(seed, call, namespace="default").outcomes()
    assert outcomes == await asyncio.to_thread(by_model, seed)


def test_sequences_reach_every_kind_of_answer() -> None:
    codes = {line.partition(": ")[2][:3] for seed in range(20) for line in by_model(seed)}
    assert codes >= {"200", "201", "404", "409"}
