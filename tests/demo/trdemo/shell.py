"""Run programs, and kubectl among them; an error shows the last lines of their output."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any


class DemoError(Exception):
    """A step of the demo failed; the message says which one and where to look."""


def run(
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    timeout: float = 120,
) -> str:
    """Run a program and return its standard output; raises DemoError with the end of its output."""
    try:
        done = subprocess.run(
            argv, input=stdin, env=env, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise DemoError(f"{' '.join(argv[:4])} … did not end within {timeout:.0f} s") from None
    if done.returncode != 0:
        output = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise DemoError(f"{' '.join(argv[:4])} … failed: {output}")
    return done.stdout


class Kubectl:
    """kubectl with one kubeconfig."""

    def __init__(self, binary: str, *, kubeconfig: str) -> None:
        self.binary, self.kubeconfig = binary, kubeconfig

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
        """Run `kubectl <arguments>`; returns its standard output."""
        return run([self.binary, "--kubeconfig", self.kubeconfig, *arguments], stdin=stdin, timeout=timeout)

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
