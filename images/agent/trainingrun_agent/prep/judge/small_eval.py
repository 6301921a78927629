"""Warnings about too little to evaluate on: how far scores may be off."""

from __future__ import annotations

from collections.abc import Sequence

from trainingrun_agent import uncertainty
from trainingrun_agent.prep.model.codes.kind import Fields
from trainingrun_agent.prep.model.codes.whole import EVAL_TOO_SMALL
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.statistics.totals import Totals


def small_eval(evaluation: Totals, classes: Sequence[str]) -> list[Finding]:
    """A warning for few images, otherwise for each class with few boxes, but some."""
    if 0 < evaluation.images < uncertainty.FEW_IMAGES:
        fields: Fields = {"case": "images", "count": evaluation.images, "points": _points(evaluation.images)}
        return [Finding(EVAL_TOO_SMALL, "", fields, split="eval", wide=True)]
    rare = [(name, evaluation.per_class[name]) for name in classes]
    return [
        Finding(
            EVAL_TOO_SMALL, "", {"case": "class", "name": name, "count": count, "points": _points(count)}, split="eval"
        )
        for name, count in rare
        if 0 < count < uncertainty.FEW_OBJECTS
    ]


def _points(count: int) -> int:
    """For a score of 50 %, where it is largest."""
    return round(100 * uncertainty.uncertainty(0.5, count))
