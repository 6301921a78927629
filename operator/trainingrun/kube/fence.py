"""An Api that writes only into namespaces that this process serves, and only while it certainly does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from trainingrun.kube.client import Api
from trainingrun.kube.errors import KubeError

_NAMESPACE: Final = re.compile(r"/namespaces/([^/]+)/")


class NotServedError(KubeError):
    """The namespace is, or may soon be, served by another operator: nothing is written there now."""


class FencedApi(Api):
    """Calls of an Api; a write that would outlast the right to make it is given up."""

    def __init__(self, api: Api, seconds_left: Callable[[str], float]) -> None:
        self._api, self._seconds_left = api, seconds_left

    async def text(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> str:
        """Make one call; raises NotServedError for a write into a namespace that is not served."""
        call = self._api.text(method, path, body=body, query=query, content_type=content_type)
        if method == "GET":
            return await call
        found = _NAMESPACE.search(path)
        namespace = found[1] if found else ""
        left = self._seconds_left(namespace)
        if left <= 0:
            call.close()
            raise NotServedError(f"{method} {path}: namespace {namespace} is not served now")
        try:
            async with asyncio.timeout(left):
                return await call
        except TimeoutError:
            raise NotServedError(f"{method} {path}: no answer in the {left:.0f} s for which it is served") from None
