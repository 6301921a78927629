"""The clock of the fleet schedules: on a machine that is too busy it stands still."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

import pytest

from trchaosfleet.kube import Kube
from trchaosfleet.steady import SteadyClock


class Server:
    """An API server that takes so long to answer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def call(self, *_: Any) -> None:
        await asyncio.sleep(self._seconds)


@pytest.mark.parametrize(("seconds", "counts"), [(0.0, True), (0.3, False)], ids=["prompt", "busy"])
async def test_time_counts_while_the_server_is_prompt(
    monkeypatch: pytest.MonkeyPatch, seconds: float, counts: bool
) -> None:
    monkeypatch.setattr("trchaosfleet.steady.TICK_SECONDS", 0.01)
    clock = SteadyClock(cast("Kube", Server(seconds)))
    with suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            await clock.run()
    assert (clock.seconds > 0.0) == counts
