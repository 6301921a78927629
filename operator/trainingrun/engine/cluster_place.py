"""Serve the whole cluster, except for namespaces that other operators are installed for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from trainingrun.api.clock import SYSTEM, Clock
from trainingrun.engine.claims import READ_SECONDS, Claims
from trainingrun.engine.lease import Lease
from trainingrun.engine.lister import Lister
from trainingrun.engine.place import Place
from trainingrun.kube.errors import KubeError

TAKE_OVER_SECONDS: Final = 1.0  # between two looks for namespaces that are no longer claimed
log = logging.getLogger(__name__)


class ClusterPlace(Place):
    """All namespaces without the claimed ones, whose runs are only observed."""

    def __init__(
        self,
        *,
        lease: Lease,
        lister: Lister,
        claims: Claims,
        changed: Callable[[str | None], None],
        clock: Clock = SYSTEM,
    ) -> None:
        super().__init__(None, lease=lease, lister=lister, changed=changed, clock=clock)
        self._claims = claims
        self._left: set[str] = set()  # claimed, or not listed since they were

    @property
    def left(self) -> dict[str, str]:
        """Namespaces left to others, with the operator that serves each."""
        return {namespace: self._claims.holders.get(namespace, "") for namespace in sorted(self._left)}

    def serves(self, namespace: str) -> bool:
        """Whether this process decides about the runs of this namespace."""
        return super().serves(namespace) and namespace not in self._left

    def seconds_left(self, namespace: str) -> float:
        """Time within which writes to the namespace must end."""
        return min(super().seconds_left(namespace), self._claims.seconds_left())

    def _work(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return *super()._work(), self._follow_claims(), self._take_over()

    async def _prepare(self) -> None:
        """Read the claims before the first listing."""
        await self._claims.read()
        self._left.clear()
        self._leave_to_holders()

    async def _follow_claims(self) -> None:
        """Leave namespaces that other operators claim; raises if the Leases may not be listed."""
        while True:
            await asyncio.sleep(READ_SECONDS)
            try:
                await self._claims.read()
            except KubeError as error:
                if error.status in {403, 404}:
                    raise
                log.warning("cannot tell which namespaces other operators serve: %s", error)
            self._leave_to_holders()

    def _leave_to_holders(self) -> None:
        for namespace, holder in self._claims.holders.items():
            if namespace not in self._left:
                log.warning("namespace %s is left to operator %s", namespace, holder or "(stopped)")
                self._left.add(namespace)
                self._changed(namespace)

    async def _take_over(self) -> None:
        """List namespaces that are no longer claimed, then serve them."""
        while True:
            await asyncio.sleep(TAKE_OVER_SECONDS)
            for namespace in sorted(self._left - self._claims.holders.keys()):
                if await self._list(namespace) and namespace not in self._claims.holders:
                    log.warning("namespace %s is served: no other operator holds its Lease any more", namespace)
                    self._left.discard(namespace)
                    self._changed(namespace)
