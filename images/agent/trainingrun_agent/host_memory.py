"""The most host memory that the agent has held, as the kernel counts it, for the verdict."""

from __future__ import annotations

import re
import resource
from pathlib import Path
from typing import Final

STATUS: Final = Path("/proc/self/status")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def peak_bytes(*, workers: int = 0) -> int | None:
    """The peak of this process, and of so many worker processes that have ended; None if the kernel reports none.

    The kernel knows the largest of them only, so each is counted like that one.
    """
    try:
        found = _PEAK.search(STATUS.read_text())
    except OSError:
        return None
    if found is None:
        return None
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (int(found[1]) + workers * largest) * 1024


def reported(*, trainer: int | None = None, workers: int = 0) -> dict[str, dict[str, int]]:
    """The field `peakMemoryBytes` of a verdict's numbers, with what is known; nothing if nothing is."""
    peaks = {"agent": peak_bytes(workers=workers), "trainer": trainer}
    known = {name: peak for name, peak in peaks.items() if peak is not None}
    return {"peakMemoryBytes": known} if known else {}
