"""What happened in one execution, in virtual time: faults, calls, ends of pods, statuses, the operator's log."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from trchaos.server import Request
from trfakes.store import Change

if TYPE_CHECKING:
    from trchaos.world import World


class Trace:
    """Lines, in their order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._shown: dict[str, str] = {}
        self._now: Any = lambda: 0.0

    @property
    def digest(self) -> str:
        """The same for two executions that are the same."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()

    def note(self, at: float, text: str) -> None:
        """Add a line."""
        self.lines.append(f"{at:12.3f}  {text}")

    def watch(self, world: World) -> None:
        """Note what happens in a world."""
        self._now = world.loop.time
        world.server.listeners.append(self._call)
        world.store.listeners.append(self._change)

    @contextmanager
    def log(self) -> Iterator[None]:
        """Note what the operator logs."""
        handler = logging.Handler()
        handler.emit = self._log  # type: ignore[method-assign]
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.INFO)
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)
            root.setLevel(level)

    def _log(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]!r}"
        self.note(self._now(), f"    log {record.levelname.lower()}: {text}")

    def _call(self, request: Request) -> None:
        if request.method != "GET" and "/leases" not in request.path:
            self.note(
                request.at, f"  {request.client} {request.method} {request.path}: {request.status or 'no answer'}"
            )

    def _change(self, change: Change) -> None:
        meta = change.body["metadata"]
        name = f"{change.plural}/{meta['namespace']}/{meta['name']}"
        shown = f"{change.kind} {_shown(change)}"
        if change.plural not in {"leases", "events"} and self._shown.get(name) != shown:
            self._shown[name] = shown
            self.note(self._now(), f"  {name}: {shown}")


def _shown(change: Change) -> str:
    body = change.body
    status = body.get("status") or {}
    deleting = " terminating" if "deletionTimestamp" in body["metadata"] else ""
    true = " ".join(f"{c['type']}={c['status'][0]}" for c in status.get("conditions") or ())
    if change.plural == "trainingruns":
        attempts = [f"{a['stage']} {a.get('number', 0)}/{a.get('ended', 0)}" for a in status.get("attempts") or ()]
        message = json.dumps(status.get("message", ""), ensure_ascii=False)
        return f"{status.get('phase', '')}{deleting} [{true}] [{', '.join(attempts)}] {message}"
    if change.plural == "pods":
        node = body["spec"].get("nodeName", "no node")
        return f"{status.get('phase', '')}{deleting} {status.get('reason', '')} on {node} [{true}]"
    if change.plural == "jobs":
        return f"suspend={bool((body.get('spec') or {}).get('suspend'))}{deleting} [{true}]"
    return deleting
