"""A clock that stands still while the machine is too busy: a second counts only if the API server is prompt."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from trchaosfleet.kube import Kube

TICK_SECONDS: Final = 0.25
PROMPT_SECONDS: Final = 0.25  # for a tick to count: an idle API server answers in a tenth of this


class SteadyClock:
    """Counts the time in which this process and the API server are prompt; `run` has to run as a task."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self.seconds = 0.0

    async def run(self) -> None:
        """Count without end."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(TICK_SECONDS)
            await self._kube.call("GET", "/api/v1/namespaces/default")
            took = time.monotonic() - began
            if took < TICK_SECONDS + PROMPT_SECONDS:
                self.seconds += took
