"""When training ends before its last step although nothing went wrong.

Invariant: pure. What asked for the end first is what is reported, and nothing is reported when the last step was
reached anyway.
"""

from typing import Any, Dict, Optional

EARLY_STOPPING, FINISH, MAX_DURATION = "earlyStopping", "finish", "maxDuration"


class Ending:
    """Decides when training ends; `stopped_by` is why it ends early, None while it goes on."""

    def __init__(self, spec: Dict[str, Any]) -> None:
        self._steps: int = spec["steps"]
        self._resumed_from: int = spec["resumedFromStep"]
        self._seconds: Optional[float] = spec.get("maxTrainingSeconds")
        self._since: Optional[float] = None
        self.stopped_by: Optional[str] = FINISH if spec.get("finish") else None
        if self._seconds is not None and self._seconds <= 0:
            self.stop(MAX_DURATION)

    def stop(self, by: str) -> None:
        """End training now."""
        self.stopped_by = self.stopped_by or by

    @property
    def last_step(self) -> int:
        """The step to train to: one step at least, because without a checkpoint there is nothing to export."""
        return self._steps if self.stopped_by is None else max(1, self._resumed_from)

    def must_end(self, now: float) -> bool:
        """Whether training must end, asked after every step; its time counts from the first step of the attempt."""
        if self._since is None:
            self._since = now
        if self._seconds is not None and now - self._since >= self._seconds:
            self.stop(MAX_DURATION)
        return self.stopped_by is not None

    def reported(self, step: int) -> Optional[str]:
        """The field stoppedBy of done.json, None for a training that reached its last step."""
        return self.stopped_by if step < self._steps else None
