"""The most host memory that the trainer has held, as the kernel counts it."""

import os
import re
from typing import Optional

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def peak_bytes() -> Optional[int]:
    """Sum of the peaks of this process and of its parent, which copies the log; None if the kernel reports none."""
    peaks = [_peak_of(process) for process in (os.getpid(), os.getppid())]
    known = [peak for peak in peaks if peak is not None]
    return sum(known) if known else None


def _peak_of(process: int) -> Optional[int]:
    try:
        with open(f"/proc/{process}/status") as handle:
            found = _PEAK.search(handle.read())
    except OSError:
        return None
    return int(found.group(1)) * 1024 if found else None
