"""Calls to the API server: authenticated by the official client, dictionaries in and out, always with a time limit.

The client's generated methods validate every body with pydantic models, which takes most of the time of a call; paths
and dictionaries are enough for the few calls of this operator.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from kubernetes.aio import client, config

from trainingrun import __version__
from trainingrun.api import bounded_json
from trainingrun.api.names import MANAGER
from trainingrun.kube.errors import KubeError, from_answer

USER_AGENT: Final = f"{MANAGER}/{__version__}"
TIMEOUT_SECONDS: Final = 15.0
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
MERGE_PATCH: Final = "application/merge-patch+json"


class Api:
    """The API server; use as an async context manager."""

    def __init__(self, api_client: client.ApiClient) -> None:
        self._client = api_client

    @classmethod
    async def connect(cls) -> Api:
        """Log in with the pod's service account, or outside a cluster with the kubeconfig."""
        configuration = client.Configuration()
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        api_client = client.ApiClient(configuration)
        api_client.user_agent = USER_AGENT  # in the audit log
        return cls(api_client)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """Make one call; returns the JSON answer, raises KubeError or a subclass naming the call."""
        text = await self.text(method, path, body=body, query=query, content_type=content_type)
        try:
            answer = bounded_json.loads(text)
        except ValueError as error:
            raise KubeError(f"{method} {path}: the answer is no JSON: {error}") from error
        return answer if isinstance(answer, dict) else {}

    async def text(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> str:
        """Make one call and return the answer as text."""
        if method in {"POST", "PATCH"}:
            query = {**(query or {}), "fieldManager": MANAGER}  # in metadata.managedFields: who wrote what
        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            request = await self._client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=dict(body) if body is not None else None,
                auth_settings=["BearerToken"],
            )
            response = await self._client.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
            data: bytes = await response.read()  # type: ignore[no-untyped-call]
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubeError(f"{method} {path}: {type(error).__name__}: {error}") from error
        if len(data) > MAX_ANSWER_BYTES:
            raise KubeError(f"{method} {path}: the answer is larger than {MAX_ANSWER_BYTES} bytes")
        if response.status >= 300:
            after = _seconds((response.headers or {}).get("Retry-After", ""))
            raise from_answer(f"{method} {path}", response.status, data, retry_after=after)
        return data.decode("utf-8", errors="replace")


def _seconds(text: str) -> float:
    """Read a Retry-After in seconds; 0 for a date, which the API server never sends, and for anything else."""
    return float(text) if re.fullmatch("[0-9]{1,6}", text) else 0.0
