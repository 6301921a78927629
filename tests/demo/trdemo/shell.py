"""kubectl as the demo and the tests call it, and the error of the demo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trcluster import waiting
from trcluster.command import run


class DemoError(Exception):
    """A step of the demo failed; the message says which one and where to look."""


class Kubectl:
    """kubectl with one kubeconfig."""

    def __init__(self, binary: str, *, kubeconfig: str) -> None:
        self.binary, self.kubeconfig = binary, kubeconfig

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Run `kubectl <arguments>`; returns its standard output, raises CommandError."""
        return run([self.binary, "--kubeconfig", self.kubeconfig, *arguments], stdin=stdin, timeout=timeout)

    def wait(self, *arguments: str, seconds: float = 60) -> None:
        """`kubectl wait`, also for what does not exist yet; raises WaitError."""
        waiting.kubectl_wait(self, *arguments, seconds=seconds)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects given as dictionaries."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self("apply", "-f", "-", stdin=json.dumps(items))

    def get(self, kind: str, name: str = "", *, namespace: str = "", selector: str = "") -> dict[str, Any]:
        """Read an object, or a list of them, as a dictionary."""
        where = ["-n", namespace] if namespace else []
        which = [name] if name else []
        chosen = ["-l", selector] if selector else []
        answer: dict[str, Any] = json.loads(self("get", kind, *which, *where, *chosen, "-o", "json"))
        return answer
