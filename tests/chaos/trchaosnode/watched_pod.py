"""Keep what the API server says of a pod until it is gone: the verdict of its agent shows for less than a second."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trdemo.faults import Faults
from trdemo.installation import Object


class WatchedPod:
    """What `kubectl get --watch` has printed of a pod until now."""

    def __init__(self, name: str, output: Path) -> None:
        self.name, self._output = name, output

    def verdict(self) -> str:
        """Termination message of the agent; empty while it runs."""
        messages = (
            container["state"]["terminated"].get("message", "")
            for pod in self._seen()
            for container in pod["status"].get("containerStatuses", ())
            if container["name"] == "agent" and "terminated" in container["state"]
        )
        return next(filter(None, messages), "")

    @property
    def last(self) -> Object:
        """The last status."""
        return next((pod["status"] for pod in reversed(self._seen())), {})

    def _seen(self) -> list[Object]:
        """All versions of the pod; the last one may still be printed."""
        text, found, decoder = self._output.read_text(), [], json.JSONDecoder()
        while text := text.lstrip():
            try:
                pod, end = decoder.raw_decode(text)
            except ValueError:
                break
            found.append(pod)
            text = text[end:]
        return found


@contextmanager
def watched(faults: Faults, pod: Object) -> Iterator[WatchedPod]:
    """Watch a pod for the duration of the block."""
    kubectl, meta = faults.installation.target.kubectl, pod["metadata"]
    argv = [kubectl.binary, "--kubeconfig", kubectl.kubeconfig, "-n", meta["namespace"]]
    argv += ["get", "pod", meta["name"], "--watch", "-o", "json"]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "pod.json"
        with output.open("wb") as to, subprocess.Popen(argv, stdout=to) as process:
            try:
                yield WatchedPod(meta["name"], output)
            finally:
                process.terminate()
