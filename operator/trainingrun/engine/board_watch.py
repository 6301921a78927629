"""Find TensorBoards that something else than the operator has deleted, so that they are made again.

Deployments and Services are not watched: that would need the right to list all of them. Instead, those that statuses
show are read by name, one run after another with a pause, so that their number changes how long a round takes and
never how many requests are sent per second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from trainingrun.api.names import tensorboard_name
from trainingrun.api.run import Run
from trainingrun.engine.cache import Cache
from trainingrun.engine.workqueue import WorkQueue
from trainingrun.kube import objects
from trainingrun.kube.client import Api
from trainingrun.kube.errors import KubeError

ROUND_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 0.2  # at most ten requests a second
log = logging.getLogger(__name__)


class BoardWatch:
    """Looks for the TensorBoards of all runs that this process serves."""

    def __init__(self, api: Api, *, cache: Cache, queue: WorkQueue, serves: Callable[[str], bool]) -> None:
        self._api, self._cache, self._queue, self._serves = api, cache, queue, serves

    async def keep(self) -> None:
        """Look again and again, without end."""
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Look once for every TensorBoard that a status shows."""
        for key in self._cache.crowds.with_boards():
            run = self._cache.runs.get(key)
            if run is not None and self._cache.crowds.shows_board(run) and self._serves(run.namespace):
                await self._look_for(run)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _look_for(self, run: Run) -> None:
        name = tensorboard_name(run.name)
        try:
            gone = [
                kind
                for kind in ("Deployment", "Service")
                if await objects.is_gone(self._api, kind, namespace=run.namespace, name=name, owner_uid=run.uid)
            ]
        except KubeError as error:
            log.info("%s: its TensorBoard cannot be looked for: %s", run.key, error)
            return
        now = self._cache.runs.get(run.key)
        shown = now is not None and now.uid == run.uid and self._cache.crowds.shows_board(now)
        if gone and shown:  # otherwise the operator may have deleted it
            log.info("%s: %s %s was deleted by something else", run.key, " and ".join(gone), name)
            self._cache.lost_boards.add(run.uid)
            self._queue.add(run.key)
