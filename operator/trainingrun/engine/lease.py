"""Advisory Lease: a second operator for the same scope says so and waits.

Safety does not depend on it; deterministic names, preconditions and epochs give that.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any, Final

from trainingrun.api import clock
from trainingrun.api.names import MANAGER, short_hash
from trainingrun.api.settings import Settings
from trainingrun.engine.health import Health
from trainingrun.kube.client import MERGE_PATCH, Api
from trainingrun.kube.errors import ConflictError, KubeError, NotFoundError

LEASE_SECONDS: Final = 30
RENEW_SECONDS: Final = 10.0
log = logging.getLogger(__name__)


class LostLeaseError(RuntimeError):
    """Another operator took the scope; this one must end."""


class ScopeLease:
    """One Lease per set of watched namespaces, in the operator's own namespace."""

    def __init__(self, api: Api, *, settings: Settings) -> None:
        self._api = api
        self._holder = settings.pod_name
        scope = ",".join(sorted(settings.namespaces))
        self._name = f"{MANAGER}-{short_hash(scope)}" if scope else MANAGER
        self._held = False
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{settings.pod_namespace}/leases"

    async def acquire(self, health: Health) -> None:
        """Return once the Lease is ours; says every time why it waits."""
        while not self._held:
            try:
                self._held = await self._take()
                health.waiting_for = f"Lease {self._name}, held by another operator for the same namespaces"
            except KubeError as error:
                health.waiting_for = f"Lease {self._name}: {error}"
            if not self._held:
                log.warning("waiting for %s", health.waiting_for)
                await asyncio.sleep(RENEW_SECONDS)
        health.waiting_for = "the first listing"

    async def keep(self) -> None:
        """Renew for ever; raises LostLeaseError when another operator holds it. An API outage alone ends nothing."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                # A conflict is settled by reading again; only a second no means another holder.
                if not (await self._take() or await self._take()):
                    self._held = False
                    raise LostLeaseError(f"Lease {self._name} was taken by another operator")
            except KubeError as error:
                log.warning("could not renew Lease %s: %s", self._name, error)

    async def release(self) -> None:
        """Let the next operator start at once; a Lease that is not ours is left alone."""
        if not self._held:
            return
        try:
            body = {"spec": {"holderIdentity": "", "renewTime": None}}
            await self._api.call("PATCH", f"{self._path}/{self._name}", body=body, content_type=MERGE_PATCH)
        except KubeError as error:
            log.info("could not release Lease %s: %s", self._name, error)

    async def _take(self) -> bool:
        now = datetime.now(UTC)
        spec = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        try:
            lease = await self._api.call("GET", f"{self._path}/{self._name}")
        except NotFoundError:
            return await self._write("POST", self._path, {"metadata": {"name": self._name}, "spec": spec})
        held: dict[str, Any] = lease.get("spec") or {}
        renewed = clock.parse(held.get("renewTime"))
        fresh = renewed is not None and (now - renewed).total_seconds() < LEASE_SECONDS
        if fresh and held.get("holderIdentity") not in {"", None, self._holder}:
            return False
        version = {"resourceVersion": lease["metadata"]["resourceVersion"]}
        return await self._write("PATCH", f"{self._path}/{self._name}", {"metadata": version, "spec": spec})

    async def _write(self, method: str, path: str, body: dict[str, Any]) -> bool:
        kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        content = MERGE_PATCH if method == "PATCH" else "application/json"
        try:
            await self._api.call(method, path, body={**kind, **body}, content_type=content)
        except ConflictError:
            return False
        return True
