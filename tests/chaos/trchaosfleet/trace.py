"""A file with everything that a schedule has seen and done, in order, to find out how an invariant was broken."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from trainingrun.api.names import Stage
from trchaosfleet.kube import Body


class Trace:
    """Appends lines to a file: seconds since the start, then what happened."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file.open("w", encoding="utf-8", buffering=1)
        self._began = time.monotonic()

    def __call__(self, what: str, *details: Any) -> None:
        """Write a line."""
        self._file.write(f"{time.monotonic() - self._began:8.3f} {what} {' '.join(map(str, details))}\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def body(self, kind: str, body: Body) -> None:
        """Write a change that a watch has shown, in short."""
        meta, status, spec = body["metadata"], body.get("status") or {}, body.get("spec") or {}
        details: list[Any] = [f"v{meta['resourceVersion']}"]
        if "deletionTimestamp" in meta:
            details.append(f"deleted at {meta['deletionTimestamp']}")
        if "storage" in spec:
            asked = {key: spec[key] for key in ("suspend", "retry", "finish", "ttlSecondsAfterFinished") if key in spec}
            details += [asked, status.get("phase"), repr(status.get("message"))]
            for stage in Stage:
                entries = [entry for entry in status.get("attempts") or () if entry["stage"] == stage]
                details += [f"{stage}={e.get('number')}/{e.get('ended', 0)} {e.get('failures', '')}" for e in entries]
            details.append([c["type"] for c in status.get("conditions") or () if c["status"] == "True"])
        elif "template" in spec:
            true = [c["type"] for c in status.get("conditions") or () if c["status"] == "True"]
            counts = {key: status[key] for key in ("active", "failed", "succeeded", "terminating") if key in status}
            details += ["suspended" if spec.get("suspend") else "", true, counts]
        else:
            details += [status.get("phase"), spec.get("nodeName")]
        self(kind, f"{meta['namespace']}/{meta['name']} ({meta['uid'][:8]})", *details)
