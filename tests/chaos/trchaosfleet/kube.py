"""The administrator's client: dictionaries in and out, and a watch that lists again whenever it ends."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import yaml

Body = dict[str, Any]

_KINDS: Final = {
    "pods": "/api/v1",
    "configmaps": "/api/v1",
    "services": "/api/v1",
    "resourcequotas": "/api/v1",
    "namespaces": "/api/v1",
    "serviceaccounts": "/api/v1",
    "nodes": "/api/v1",
    "jobs": "/apis/batch/v1",
    "deployments": "/apis/apps/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "trainingruns": "/apis/trainingrun.dev/v1alpha1",
    "validatingadmissionpolicies": "/apis/admissionregistration.k8s.io/v1",
    "validatingadmissionpolicybindings": "/apis/admissionregistration.k8s.io/v1",
}
PATIENCE: Final = (0.2, 0.5, 1.0, 2.0)
MERGE: Final = "application/merge-patch+json"


class ApiError(Exception):
    """The API server refused a request of the administrator; `status` is its code."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:500]}")
        self.status = status


def tls_of(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """Return the server of a kubeconfig and a TLS context with its certificates."""
    document = yaml.safe_load(kubeconfig.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    if "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile(suffix=".pem") as both:
            for part in ("client-certificate-data", "client-key-data"):
                both.write(base64.b64decode(user[part]) + b"\n")
            both.flush()
            context.load_cert_chain(both.name)
    return str(cluster["server"]), context


def server_tls(kubeconfig: Path) -> ssl.SSLContext:
    """Return a TLS context that trusts the server of a kubeconfig and has no client certificate."""
    cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    return ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())


class Kube:
    """Calls as administrator; use as an async context manager."""

    def __init__(self, kubeconfig: Path) -> None:
        self.server, self._tls = tls_of(kubeconfig)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_connect=10)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def call(self, method: str, path: str, body: object = None, *, content: str = "application/json") -> Body:
        """Make one call, again while the API server asks for patience; raises ApiError."""
        for wait in PATIENCE:
            try:
                return await self._call(method, path, body, content)
            except ApiError as error:
                if error.status != 429 or method == "POST":
                    raise
            await asyncio.sleep(wait)
        return await self._call(method, path, body, content)

    async def _call(self, method: str, path: str, body: object, content: str) -> Body:
        assert self._session is not None
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": content}
        async with (
            asyncio.timeout(30),
            self._session.request(method, self.server + path, data=data, headers=headers) as answer,
        ):
            text = await answer.text()
            if answer.status >= 300:
                raise ApiError(answer.status, text)
            found: Body = json.loads(text)
            return found

    async def list(self, plural: str, namespace: str = "", *, query: str = "") -> list[Body]:
        """List a kind."""
        items: list[Body] = (await self.call("GET", path(plural, namespace) + query)).get("items") or []
        return items

    async def create(self, plural: str, body: Mapping[str, Any], namespace: str = "") -> Body | None:
        """Create an object; None if the name is taken."""
        try:
            return await self.call("POST", path(plural, namespace), body)
        except ApiError as error:
            if error.status == 409:
                return None
            raise

    async def patch(self, plural: str, name: str, body: object, namespace: str = "", *, sub: str = "") -> Body | None:
        """Merge-patch an object, or a part of it; None if it is gone or the patch conflicts."""
        try:
            where = path(plural, namespace, name) + (f"/{sub}" if sub else "")
            return await self.call("PATCH", where, body, content=MERGE)
        except ApiError as error:
            if error.status in {404, 409}:
                return None
            raise

    async def delete(self, plural: str, name: str, namespace: str = "", **options: Any) -> bool:
        """Delete an object, in the background; False if it is gone."""
        body = {"propagationPolicy": "Background", **options}
        try:
            await self.call("DELETE", path(plural, namespace, name), body)
        except ApiError as error:
            if error.status in {404, 409}:
                return False
            raise
        return True

    async def watch(self, plural: str, namespace: str) -> AsyncIterator[tuple[str, Body]]:
        """Yield changes of a kind without end; LISTED are objects of a listing, DELETED also those that it lacks."""
        known: dict[str, Body] = {}
        while True:
            listed = await self.call("GET", path(plural, namespace))
            now = {item["metadata"]["uid"]: item for item in listed.get("items") or []}
            for uid in known.keys() - now.keys():
                yield "DELETED", known[uid]
            for item in now.values():
                yield "LISTED", item
            known = now
            with suppress(aiohttp.ClientError, TimeoutError):
                async for kind, item in self._changes(plural, namespace, listed["metadata"]["resourceVersion"]):
                    uid = item["metadata"]["uid"]
                    if kind == "DELETED":
                        known.pop(uid, None)
                    else:
                        known[uid] = item
                    yield kind, item

    async def _changes(self, plural: str, namespace: str, version: str) -> AsyncIterator[tuple[str, Body]]:
        assert self._session is not None
        where = f"{path(plural, namespace)}?watch=true&resourceVersion={version}"
        async with self._session.get(self.server + where) as answer:
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return
                    yield event["type"], event["object"]


def path(plural: str, namespace: str = "", name: str = "") -> str:
    """URL path of a kind or an object."""
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"{_KINDS[plural]}{where}/{plural}" + (f"/{name}" if name else "")
