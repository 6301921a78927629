"""Scores of evaluations one after the other, and what is to be concluded from them: by the trainer and by the agent."""

from __future__ import annotations

from typing import Any, NamedTuple


class Series(NamedTuple):
    """Scores and minDelta; the index of the best, the score to exceed next, and how many came after that one."""

    scores: tuple[float, ...]
    min_delta: float
    best: int
    reference: float
    since: int


SERIES: dict[str, Series] = {
    "one": Series((0.5,), 0.0, 0, 0.5, 0),
    "rising": Series((0.1, 0.2, 0.3), 0.0, 2, 0.3, 0),
    "flat": Series((0.1, 0.5, 0.5, 0.5), 0.0, 1, 0.5, 2),
    "best is not last": Series((0.1, 0.6, 0.5, 0.55), 0.0, 1, 0.6, 2),
    "better by less than minDelta": Series((0.5, 0.505, 0.509), 0.01, 2, 0.5, 2),
    "small steps add up": Series((0.5, 0.506, 0.512, 0.518), 0.01, 3, 0.512, 1),
    "recovers": Series((0.5, 0.1, 0.2, 0.6), 0.01, 3, 0.6, 0),
    "zero at first": Series((0.0, 0.0, 0.0), 0.0, 0, 0.0, 2),
}


def evaluation(index: int, score: float) -> dict[str, Any]:
    """The evaluation number `index`, of step 10, 20, …; AP@.5 does not tell which is best by mAP."""
    return {"step": 10 * (index + 1), "mAP": score, "ap50": 1 - score}
