"""Hold a Lease: at most one operator writes to what the Lease stands for.

Invariants: a Lease of another operator is taken only after its record has not changed for its whole duration on this
process's own monotonic clock, so clocks of nodes may differ; and this process stops writing (`seconds_left`) well
before any other operator can take the Lease.
The chart creates Leases, so that `helm uninstall` deletes them; the operator creates one that is missing.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any, Final

from trainingrun.api.clock import SYSTEM, Clock
from trainingrun.api.settings import Settings
from trainingrun.kube.client import MERGE_PATCH, Api
from trainingrun.kube.errors import ConflictError, KubeError, NotFoundError, RefusedError

LEASE_SECONDS: Final = 30
RENEW_SECONDS: Final = 10.0
RENEW_AGAIN_SECONDS: Final = 2.0  # after a renewal that got no answer
CALL_SECONDS: Final = 5.0
RELEASE_TRIES: Final = 3
WRITE_SECONDS: Final = 25.0  # from the start of a renewal: writes of this process end five seconds before the Lease
# Whoever may write Leases in a namespace, as users with `edit`, may write anything into this one.
MAX_HOLDER: Final = 253  # characters
MAX_SECONDS: Final = 300.0
log = logging.getLogger(__name__)


class LostLeaseError(KubeError):
    """Another operator took the Lease, or it was deleted: what it stands for is no longer this process's."""


class Record:
    """What a Lease says, and since when it has said so on this process's clock."""

    def __init__(self, lease: dict[str, Any], *, seen_at: float) -> None:
        spec: dict[str, Any] = lease.get("spec") or {}
        self.namespace, self.version = str(lease["metadata"].get("namespace", "")), lease["metadata"]["resourceVersion"]
        self.holder = str(spec.get("holderIdentity") or "")[:MAX_HOLDER]
        self.settled = bool(spec.get("acquireTime"))
        self.seconds = min(float(spec.get("leaseDurationSeconds") or LEASE_SECONDS), MAX_SECONDS)
        self._fields = (self.holder, spec.get("renewTime"), spec.get("acquireTime"))
        self.seen_at = seen_at

    @property
    def used(self) -> bool:
        """Whether an operator for this namespace has held the Lease since it was created or cleared."""
        return any(self._fields)

    def since(self, old: Record | None) -> Record:
        """The same record, as old as the one seen before if that said the same."""
        if old is not None and old._fields == self._fields:
            self.seen_at = old.seen_at
        return self

    def stale(self, now: float) -> bool:
        """Whether its holder has let a whole duration pass without a sign of life."""
        return now - self.seen_at >= self.seconds


class Lease:
    """One Lease, as the process that holds it or wants to hold it sees it."""

    def __init__(self, api: Api, *, namespace: str, name: str, settings: Settings, clock: Clock = SYSTEM) -> None:
        self._api, self._clock = api, clock
        self._name, self._text = name, f"Lease {namespace}/{name}"
        self._holder = f"{settings.pod_namespace}/{settings.pod_name}"
        # As the chart makes it: Helm uninstalls, and installs again, only what has these.
        self._meta: dict[str, Any] = {
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": settings.release},
            "annotations": {
                "meta.helm.sh/release-name": settings.release,
                "meta.helm.sh/release-namespace": settings.pod_namespace,
            },
        }
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._seen: Record | None = None  # its newest known record, of whichever holder
        self._write_until = -math.inf
        self._acquired = ""
        self.held = False

    def __str__(self) -> str:
        return self._text

    @property
    def other_holder(self) -> str:
        """Another operator that held the Lease when it was last read."""
        return self._seen.holder if self._seen is not None and self._seen.holder != self._holder else ""

    @property
    def settled(self) -> bool:
        """Whether all operators that served before have certainly stopped; then the Lease has an acquireTime."""
        return bool(self._acquired)

    def settle(self) -> None:
        """Record, with the next renewal, that the operators which served before have stopped."""
        self._acquired = self._now()

    def seconds_left(self) -> float:
        """Time for which this process certainly holds the Lease; writes must end within it."""
        return self._write_until - self._clock.monotonic() if self.held else 0.0

    async def take(self) -> bool:
        """Take the Lease unless another operator holds it."""
        began = self._clock.monotonic()
        try:
            record = await self._read()
        except NotFoundError:
            self._seen, self._acquired = None, ""
            return await self._write("POST", self._path, self._meta, began=began)
        if self.other_holder and not record.stale(self._clock.monotonic()):
            return False
        if not self.held:
            self._acquired = self._now() if record.settled else ""
        return await self._patch(began)

    async def keep(self) -> None:
        """Renew the Lease without end, also through outages of the API server; raises LostLeaseError when it is lost.

        Raises RefusedError when the server forbids it. After an outage, a Lease that nobody took is still held.
        """
        wait = RENEW_SECONDS
        while True:
            await asyncio.sleep(wait)
            wait = RENEW_SECONDS
            try:
                await self._renew()
            except (LostLeaseError, RefusedError):
                self.held = False
                raise
            except KubeError as error:
                wait = RENEW_AGAIN_SECONDS
                log.warning("could not renew %s: %s", self, error)

    async def release(self) -> None:
        """Release the Lease, if it is still held, so that the next operator starts at once."""
        if not self.held:
            return
        self.held = False
        for _ in range(RELEASE_TRIES):
            try:
                await self._clear()
            except ConflictError:
                continue  # a renewal that was cancelled has arrived after all
            except KubeError as error:
                log.info("could not release %s: %s", self, error)
            return
        log.info("could not release %s: it keeps changing", self)

    async def _clear(self) -> None:
        path = f"{self._path}/{self._name}"
        record = Record(await self._call("GET", path), seen_at=self._clock.monotonic())
        if record.holder == self._holder:
            spec = {"holderIdentity": "", "renewTime": self._now()}
            await self._call("PATCH", path, {"metadata": {"resourceVersion": record.version}, "spec": spec})

    async def _renew(self) -> None:
        began = self._clock.monotonic()
        try:
            if await self._patch(began):
                return
            # Something else may have changed the Lease. One that another took and left again is lost all the same:
            # what this process knows is older than what the other one did.
            record = await self._read()
            if record.holder != self._holder or not await self._patch(began):
                raise LostLeaseError(f"{self} was taken by {self.other_holder or 'another operator'}")
        except NotFoundError:
            raise LostLeaseError(f"{self} was deleted") from None

    async def _read(self) -> Record:
        lease = await self._call("GET", f"{self._path}/{self._name}")
        self._seen = Record(lease, seen_at=self._clock.monotonic()).since(self._seen)
        return self._seen

    async def _patch(self, began: float) -> bool:
        assert self._seen is not None
        meta = {"resourceVersion": self._seen.version}
        return await self._write("PATCH", f"{self._path}/{self._name}", meta, began=began)

    async def _write(self, method: str, path: str, meta: dict[str, Any], *, began: float) -> bool:
        spec = {"holderIdentity": self._holder, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": self._now()}
        if self._acquired:
            spec["acquireTime"] = self._acquired
        try:
            lease = await self._call(method, path, {"metadata": meta, "spec": spec})
        except ConflictError:
            return False
        self._seen = Record(lease, seen_at=self._clock.monotonic())
        self.held, self._write_until = True, began + WRITE_SECONDS
        return True

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        content = MERGE_PATCH if method == "PATCH" else "application/json"
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await self._api.call(method, path, body=body and {**kind, **body}, content_type=content)
        except TimeoutError:
            raise KubeError(f"{method} {path}: no answer in {CALL_SECONDS:.0f} s") from None

    def _now(self) -> str:
        return self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
