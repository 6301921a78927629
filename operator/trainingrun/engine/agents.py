"""Ask the agent of a pod how far it is."""

from __future__ import annotations

from typing import Final, Protocol

import aiohttp

TIMEOUT_SECONDS: Final = 2.0
MAX_BYTES: Final = 16 * 1024


class Agents(Protocol):
    """The agents of all pods."""

    async def ask(self, address: str, port: int) -> bytes | None:
        """What the agent at an IP address answers, at most a little more than MAX_BYTES; None without an answer."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class HttpAgents:
    """Agents as the network reaches them."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, address: str, port: int) -> bytes | None:
        """GET /progress."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        host = f"[{address}]" if ":" in address else address
        try:
            async with self._session.get(f"http://{host}:{port}/progress", allow_redirects=False) as answer:
                return await _read(answer.content) if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


async def _read(content: aiohttp.StreamReader) -> bytes:
    """Read the whole of a short answer; one read may return only a part of it."""
    data = b""
    async for chunk in content.iter_chunked(MAX_BYTES):
        data += chunk
        if len(data) > MAX_BYTES:
            break
    return data
