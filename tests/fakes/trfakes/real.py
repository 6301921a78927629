"""A real API server behind the methods of the fake one's store, so that trfakes.cluster plays Jobs on it.

Invariant: everything is written as Kubernetes' own controllers would write it, by kubectl as administrator.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from trfakes.store import Change, Object

BEFORE_THE_END = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}


class RealStore:
    """For a tier without kubelet and Job controller."""

    def __init__(self, kubectl: Callable[..., str]) -> None:
        self._kubectl = kubectl
        self.listeners: list[Callable[[Change], None]] = []

    def now_text(self) -> str:
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def select(self, plural: str, *, namespace: str) -> Iterator[Object]:
        yield from json.loads(self._kubectl("get", plural, "-n", namespace, "-o", "json"))["items"]

    def find(self, plural: str, name: str, *, namespace: str) -> Object | None:
        found = self._kubectl("get", plural, name, "-n", namespace, "--ignore-not-found", "-o", "json")
        return json.loads(found) if found else None

    def create(self, plural: str, body: Mapping[str, Any], *, namespace: str) -> Object:
        assert plural == "pods"
        whole = json.dumps({"apiVersion": "v1", "kind": "Pod", **body})
        made: Object = json.loads(self._kubectl("create", "-n", namespace, "-f", "-", "-o", "json", stdin=whole))
        return made

    def update_status(self, plural: str, name: str, *, namespace: str, **status: Any) -> Object:
        wanted = self._end_of_job(status["conditions"]) if plural == "jobs" else status
        patch = json.dumps({"status": wanted})
        options = ("--subresource=status", "--type=merge", "-o", "json")
        try:
            new: Object = json.loads(self._kubectl("patch", plural, name, "-n", namespace, *options, "-p", patch))
        except subprocess.CalledProcessError:
            if self.find(plural, name, namespace=namespace) is not None:
                raise
            return {}  # the operator was faster and deleted it: controllers meet that, too
        return new

    def _end_of_job(self, conditions: list[Object]) -> Object:
        """The API server takes an end only from a Job that was seen to start and to come to it."""
        (end,) = conditions
        now = self.now_text()
        complete = {"completionTime": now} if end["type"] == "Complete" else {}
        return {"conditions": [{**end, "type": BEFORE_THE_END[end["type"]]}, end], "startTime": now, **complete}
