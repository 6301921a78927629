"""Serve one namespace while its Lease is held and its objects can be listed; otherwise say why not, and try again.

Invariant: nothing is decided about a namespace before it was listed under the Lease, and nothing once the Lease is lost
or the API server refuses; its runs then stay in the cache as they were last seen.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final

from trainingrun.api.clock import SYSTEM, Clock
from trainingrun.engine.claims import SETTLE_SECONDS
from trainingrun.engine.lease import Lease, LostLeaseError
from trainingrun.engine.lister import Lister
from trainingrun.kube.errors import KubeError

TRY_AGAIN_SECONDS: Final = 10.0
LIST_AGAIN_SECONDS: Final = 2.0
FIRST_RESYNCS_SECONDS: Final = (5.0, 60.0)  # kopf's watches begin after the first listing, on a busy machine long after
RESYNC_SECONDS: Final = 600.0
SHOWN_SECONDS: Final = 60.0  # at most, for the objects in the listing of a watch to arrive one by one
SAY_AGAIN_SECONDS: Final = 600.0
log = logging.getLogger(__name__)


class State(StrEnum):
    """Label of the metric `trainingrun_namespaces`."""

    SERVED = "served"
    STARTING = "starting"  # not listed yet, or no answer from the API server
    HELD = "held"  # another operator serves it
    REFUSED = "refused"  # the API server answers 403 or 404


class Place:
    """One namespace, or with None the whole cluster. `changed` is called when it begins or ends to be served."""

    def __init__(
        self,
        namespace: str | None,
        *,
        lease: Lease,
        lister: Lister,
        changed: Callable[[str | None], None],
        clock: Clock = SYSTEM,
    ) -> None:
        self.namespace = namespace
        self.name = f"namespace {namespace}" if namespace else "the whole cluster"
        self.state, self.why = State.STARTING, "it has not been listed yet"
        self.lease, self._lister, self._changed = lease, lister, changed
        self._clock, self._said_at = clock, 0.0
        self._relisted = asyncio.Event()

    def watch_listed_again(self) -> None:
        """List soon: a watch that had to list again shows nothing of what was deleted in between."""
        self._relisted.set()

    def serves(self, _namespace: str) -> bool:
        """Whether this process decides about the runs of one of its namespaces."""
        return self.state is State.SERVED

    def seconds_left(self, namespace: str) -> float:
        """Time within which writes to the namespace must end."""
        return self.lease.seconds_left() if self.serves(namespace) else 0.0

    async def keep(self) -> None:
        """Serve the place whenever that is possible, without end."""
        while True:
            try:
                await self._lister.check(self.namespace)
                if await self.lease.take():
                    await _until_one_ends(*self._work())
                self._leave(State.HELD, f"{self.lease} is held by {self.lease.other_holder or 'another operator'}")
            except LostLeaseError as error:
                self._leave(State.HELD, str(error))
            except KubeError as error:
                if error.status in {403, 404}:
                    self._leave(State.REFUSED, f"{error}; `helm upgrade` gives the operator its rights there")
                else:
                    self._leave(State.STARTING, str(error))
            await self.lease.release()
            await asyncio.sleep(TRY_AGAIN_SECONDS)

    def _work(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What runs while the Lease is held; the place is left when one of these ends or fails."""
        return self.lease.keep(), self._list_repeatedly()

    async def _prepare(self) -> None:
        """Wait until nobody else can be serving the place any more."""
        if not self.lease.settled:
            self._leave(
                State.STARTING, f"a cluster-wide operator, if there is one, has {SETTLE_SECONDS:.0f} s to leave it"
            )
            await asyncio.sleep(SETTLE_SECONDS)
            self.lease.settle()

    async def _list_repeatedly(self) -> None:
        """List everything before the first decision, and now and then: watches can miss deletions."""
        await self._prepare()
        self._relisted.clear()
        waits = itertools.chain(FIRST_RESYNCS_SECONDS, itertools.repeat(RESYNC_SECONDS))
        while True:
            listed = await self._list(self.namespace)
            if listed and self.state is not State.SERVED:
                self._enter()
            elif listed:
                self._changed(self.namespace)
            await self._wait(next(waits) if self.state is State.SERVED else LIST_AGAIN_SECONDS)

    async def _wait(self, seconds: float) -> None:
        """Wait for the next listing: so long, or until a watch has listed and shown all that was in its listing.

        What a watch lists while this one is read may tell of later deletions, so that it is not forgotten.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._relisted.wait(), seconds)
        until = self._clock.monotonic() + SHOWN_SECONDS
        while self._relisted.is_set() and self._clock.monotonic() < until:
            self._relisted.clear()
            await asyncio.sleep(LIST_AGAIN_SECONDS)

    async def _list(self, namespace: str | None) -> bool:
        try:
            await self._lister.list(namespace)
        except KubeError as error:
            if error.status in {403, 404}:
                raise
            log.warning("%s could not be listed: %s", self.name, error)
            return False
        return True

    def _enter(self) -> None:
        log.info("%s is served", self.name)
        self.state, self.why = State.SERVED, ""
        self._changed(self.namespace)

    def _leave(self, state: State, why: str) -> None:
        """Serve the place no longer; a reason that stays the same is logged again only now and then."""
        moment = self._clock.monotonic()
        if (state, why) != (self.state, self.why) or moment - self._said_at > SAY_AGAIN_SECONDS:
            self._said_at = moment
            log.warning("%s is not served: %s", self.name, why)
        was_served = self.state is State.SERVED
        self.state, self.why = state, why
        if was_served:
            self._changed(self.namespace)


async def _until_one_ends(*work: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, then cancel the others; raises the error of the one that ended."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
