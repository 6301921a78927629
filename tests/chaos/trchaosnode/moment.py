"""Read what a trainer has reached from its shared folder, on the host, at the moment of a fault.

Invariant: nothing is written, and no part of the product is asked: it may be down.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trchaosnode.kinds import Loss
from trcluster.waiting import patience

PROC: Final = Path("/proc")
UPLOAD_SECONDS: Final = 10.0
"""What an upload of a checkpoint may take: a second on a quiet machine, more while TensorFlow starts beside it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint in the shared folder, and how many seconds ago it became complete."""

    step: int
    age: float


@dataclass(frozen=True, slots=True)
class Moment:
    """The step of a trainer and its complete checkpoints in order.

    `uploaded` is a step known to be in the bucket, `upload_seconds` is what an upload may take on the machine now.
    """

    step: int
    ready: tuple[Checkpoint, ...]
    uploaded: int
    upload_seconds: float = UPLOAD_SECONDS

    @property
    def newest(self) -> int:
        """Step of the newest complete checkpoint."""
        return max((each.step for each in self.ready), default=self.uploaded)

    def least(self, loss: Loss) -> int:
        """Step from which the next attempt must resume, or from a later one."""
        if loss is Loss.NONE:
            return self.step
        if loss is Loss.INTERVAL:
            return max(self.newest, self.uploaded)
        return max([self.uploaded, *(each.step for each in self.ready if each.age >= self.upload_seconds)])


def read(pid: int, *, uploaded: int) -> Moment:
    """Read the shared folder of the pod in which a process of the host runs."""
    shared, now = PROC / str(pid) / "root" / "shared", time.time()
    step = int(json.loads((shared / "progress.json").read_text()).get("step", 0))
    ready = [Checkpoint(int(path.stem), now - path.stat().st_mtime) for path in (shared / "ready").glob("*.json")]
    return Moment(step, tuple(sorted(ready, key=lambda each: each.step)), uploaded, patience(UPLOAD_SECONDS))
