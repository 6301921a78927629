"""What a while of work costs: CPU and memory by process from /proc, requests by user from the audit log."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """CPU seconds that a process has used; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes(pid: int) -> int:
    """Memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


@dataclass
class Costs:
    """CPU seconds of processes by name, from `start` to `stop`."""

    pids: Mapping[str, int]
    seconds: dict[str, float] = field(default_factory=dict)

    def start(self) -> None:
        """Begin to count."""
        self.seconds = {name: -cpu_seconds(pid) for name, pid in self.pids.items()}

    def stop(self) -> None:
        """Count until now."""
        for name, pid in self.pids.items():
            self.seconds[name] += cpu_seconds(pid)


class Requests:
    """Requests in the audit log since this object was made."""

    def __init__(self, log: Path) -> None:
        self._log, self._start = log, log.stat().st_size

    def of(self, user: str) -> Counter[str]:
        """Requests of a user as `verb resource`; watches count when they begin."""
        found: Counter[str] = Counter()
        with self._log.open("rb") as log:
            log.seek(self._start)
            for line in log:
                event = json.loads(line)
                if event["user"]["username"] == user and event["stage"] != "ResponseStarted":
                    what = event.get("objectRef") or {}
                    name = "/".join(filter(None, (what.get("resource"), what.get("subresource"))))
                    found[f"{event['verb']} {name}"] += 1
        return found
