"""Advisory Lease: a second operator of the same namespaces waits until the first one ends.

Safety does not depend on it: deterministic names, preconditions and epochs make two operators harmless.
The chart creates the Lease, so that `helm uninstall` deletes it. The operator creates it only before it begins to work,
and only if it is missing, so that an operator that is being uninstalled leaves none behind.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any, Final

from trainingrun.api import clock
from trainingrun.api.names import lease_name
from trainingrun.api.settings import Settings
from trainingrun.engine.health import Health
from trainingrun.kube.client import MERGE_PATCH, Api
from trainingrun.kube.errors import ConflictError, KubeError, NotFoundError

LEASE_SECONDS: Final = 30
RENEW_SECONDS: Final = 10.0
log = logging.getLogger(__name__)


class LostLeaseError(RuntimeError):
    """Another operator took the Lease, or it was deleted; this process must end."""


class ScopeLease:
    """One Lease per set of watched namespaces, in the operator's own namespace."""

    def __init__(self, api: Api, *, settings: Settings) -> None:
        self._api = api
        self._holder = settings.pod_name
        self._name = lease_name(settings.namespaces)
        self._held = False
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{settings.pod_namespace}/leases"

    async def acquire(self, health: Health) -> None:
        """Return once this process holds the Lease; logs what it waits for."""
        while not self._held:
            try:
                self._held = await self._take_or_create()
                health.waiting_for = f"Lease {self._name}, held by another operator for the same namespaces"
            except KubeError as error:
                health.waiting_for = f"Lease {self._name}: {error}"
            if not self._held:
                log.warning("waiting for %s", health.waiting_for)
                await asyncio.sleep(RENEW_SECONDS)
        health.waiting_for = "the first listing"

    async def keep(self) -> None:
        """Renew the Lease without end, also through API outages; raises LostLeaseError when it is lost."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                # After a conflict it is read again; only a second failure means another holder.
                if not (await self._take() or await self._take()):
                    self._held = False
                    raise LostLeaseError(f"Lease {self._name} was taken by another operator")
            except NotFoundError:
                self._held = False
                raise LostLeaseError(f"Lease {self._name} was deleted") from None
            except KubeError as error:
                log.warning("could not renew Lease %s: %s", self._name, error)

    async def release(self) -> None:
        """Release the Lease, if it is held, so that the next operator starts at once."""
        if not self._held:
            return
        try:
            body = {"spec": {"holderIdentity": "", "renewTime": None}}
            await self._api.call("PATCH", f"{self._path}/{self._name}", body=body, content_type=MERGE_PATCH)
        except KubeError as error:
            log.info("could not release Lease %s: %s", self._name, error)

    async def _take_or_create(self) -> bool:
        try:
            return await self._take()
        except NotFoundError:
            body = {"metadata": {"name": self._name}, "spec": self._spec(datetime.now(UTC))}
            return await self._write("POST", self._path, body)

    def _spec(self, now: datetime) -> dict[str, Any]:
        return {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }

    async def _take(self) -> bool:
        now = datetime.now(UTC)
        lease = await self._api.call("GET", f"{self._path}/{self._name}")
        held: dict[str, Any] = lease.get("spec") or {}
        renewed = clock.parse(held.get("renewTime"))
        fresh = renewed is not None and (now - renewed).total_seconds() < LEASE_SECONDS
        if fresh and held.get("holderIdentity") not in {"", None, self._holder}:
            return False
        version = {"resourceVersion": lease["metadata"]["resourceVersion"]}
        return await self._write("PATCH", f"{self._path}/{self._name}", {"metadata": version, "spec": self._spec(now)})

    async def _write(self, method: str, path: str, body: dict[str, Any]) -> bool:
        kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        content = MERGE_PATCH if method == "PATCH" else "application/json"
        try:
            await self._api.call(method, path, body={**kind, **body}, content_type=content)
        except ConflictError:
            return False
        return True
