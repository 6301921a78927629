"""Namespaces that a cluster-wide operator leaves to operators which are installed for these namespaces.

An operator for a namespace holds the Lease in it. Until the Lease has not changed for its whole duration, the namespace
is that operator's, also while that operator restarts or someone deletes the Lease. Then the cluster-wide operator
clears the Lease's record and serves the namespace. An operator that takes a cleared or new Lease waits
(`SETTLE_SECONDS`) until this one must have read it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any, Final

from trainingrun.api.clock import SYSTEM, Clock
from trainingrun.api.names import LEASE
from trainingrun.engine.lease import Record
from trainingrun.kube.client import MERGE_PATCH, Api
from trainingrun.kube.errors import ConflictError, KubeError, NotFoundError
from trainingrun.kube.objects import list_all, path

READ_SECONDS: Final = 5.0
CALL_SECONDS: Final = 5.0
WRITE_SECONDS: Final = 12.0  # from the start of a reading: without a newer one, nothing is written after it
SETTLE_SECONDS: Final = WRITE_SECONDS + 3.0  # before an operator for a namespace serves what this one may have served
log = logging.getLogger(__name__)


class Claims:
    """The Leases of operators for single namespaces, as last read."""

    def __init__(self, api: Api, *, clock: Clock = SYSTEM) -> None:
        self._api, self._clock = api, clock
        self._records: dict[str, Record] = {}  # by namespace
        self._write_until = -math.inf

    @property
    def holders(self) -> dict[str, str]:
        """Namespaces that are left to other operators, and these operators; empty for one that has stopped."""
        return {namespace: record.holder for namespace, record in self._records.items()}

    def seconds_left(self) -> float:
        """Time for which `holders` is certainly complete; writes to all other namespaces must end within it."""
        return self._write_until - self._clock.monotonic()

    async def read(self) -> None:
        """Read all Leases; namespaces whose Lease has become stale are no longer left to its holder."""
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                records = [record for record in await self._list() if record.used]
        except TimeoutError:
            raise KubeError(f"listing the Leases {LEASE}: no answer in {CALL_SECONDS:.0f} s") from None
        read = {record.namespace: record.since(self._records.get(record.namespace)) for record in records}
        self._records |= read
        self._write_until = began + WRITE_SECONDS
        for namespace, record in list(self._records.items()):
            if record.stale(self._clock.monotonic()) and (namespace not in read or await self._clear(record)):
                del self._records[namespace]

    async def _list(self) -> list[Record]:
        found = list_all(self._api, "Lease", namespace=None, fields=f"metadata.name={LEASE}")
        return [Record(lease, seen_at=self._clock.monotonic()) async for lease in found]

    async def _clear(self, record: Record) -> bool:
        """Clear a stale Lease; False if its holder has come back meanwhile."""
        spec: dict[str, Any] = {"holderIdentity": "", "renewTime": None, "acquireTime": None}
        body = {"metadata": {"resourceVersion": record.version}, "spec": spec}
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._api.call(
                    "PATCH", path("Lease", record.namespace, LEASE), body=body, content_type=MERGE_PATCH
                )
        except NotFoundError:
            return True
        except ConflictError:
            return False
        except (KubeError, TimeoutError) as error:
            log.warning("could not take over namespace %s: %s", record.namespace, error)
            return False
        return True
