"""Tells a loss that explodes from one that is only high for a few steps.

A loss is high when it is many times what it was at first, before anything was learned in this attempt, and many times
what is usual, the median of the last steps. Wrong boxes and unlucky crops make single steps high; a warm-up that is too
short makes some steps high and falls again. A loss that stays high for many steps and does not fall has exploded.
Networks that have learned have nearly no loss on an image without objects, and a normal one on the next: no loss below
`FACTOR * LEAST_USUAL` is high.

Invariant: pure. A loss that becomes NaN or infinite within a few steps is not seen here.
"""

from collections import deque
from typing import Deque, List, Optional

FACTOR = 10.0
LEAST_USUAL = 1.0
STEPS = 30
USUAL_STEPS = 200
FALLING = 0.7
"""Median of the second half of the high steps, as a share of that of the first half: below it the loss falls."""


class LossWatch:
    """Takes the loss of every step."""

    def __init__(self) -> None:
        self._first: Optional[float] = None
        self._usual: Deque[float] = deque(maxlen=USUAL_STEPS)
        self._high: Deque[float] = deque(maxlen=STEPS)

    @property
    def is_high(self) -> bool:
        """Whether the last loss was high: the weights may be of no use any more."""
        return bool(self._high)

    def observe(self, loss: float) -> Optional[str]:
        """Take the next loss; returns what is wrong, for a message, once the loss has exploded."""
        if self._first is None:
            self._first = loss
        usual = max(LEAST_USUAL, self._first, _median(list(self._usual) or [loss]))
        if loss <= FACTOR * usual:
            self._usual.append(loss)
            self._high.clear()
            return None
        self._high.append(loss)
        high = list(self._high)
        if len(high) < STEPS or _median(high[STEPS // 2 :]) < FALLING * _median(high[: STEPS // 2]):
            return None
        seen = f"{min(high):.4g} to {max(high):.4g}"
        return f"The loss exploded: {usual:.4g} before, it was {seen} in the {STEPS} steps that ended"


def _median(values: List[float]) -> float:
    return sorted(values)[len(values) // 2]
