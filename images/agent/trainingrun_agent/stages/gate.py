"""Compares the scores of an export with those that spec.export.gate asks for.

Invariant: pure. What cannot be judged is missed: a gate is met only by scores that are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trainingrun_agent.shared.class_scores import Scores
from trainingrun_agent.training_settings import Gate, GateBar

MAX_MISSED: Final = 10
MAX_TEXT: Final = 160
MAX_NAME: Final = 80


@dataclass(frozen=True)
class GateResult:
    """Each score that is too low, in words."""

    missed: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As in verdict.schema.json."""
        texts = [text[:MAX_TEXT] for text in self.missed[:MAX_MISSED]]
        return {"met": not self.missed, "missed": texts, "missedCount": len(self.missed)}


def judge(gate: Gate, *, overall: Scores, by_class: Mapping[str, Scores], classes: Sequence[str]) -> GateResult:
    """Compare; `classes` are all of the data set, `by_class` has those that the evaluation images show."""
    missed = [*_too_low("", overall, GateBar(None, gate.min_map, gate.min_ap50))]
    for name, bar in _bars(gate, classes):
        shown = name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…"
        scores = by_class.get(name)
        if scores is None:
            missed.append(f"class {shown!r}: no box of it is in the images of the export's evaluation")
        else:
            missed.extend(_too_low(f"class {shown!r}: ", scores, bar))
    return GateResult(tuple(missed))


def _bars(gate: Gate, classes: Sequence[str]) -> Iterator[tuple[str, GateBar]]:
    """The bar of each class that has one, in the order of the data set."""
    own = {bar.name: bar for bar in gate.per_class}
    for name in classes:
        bar = own.get(name) or own.get(None)
        if bar is not None:
            yield name, bar


def _too_low(prefix: str, scores: Scores, bar: GateBar) -> Iterator[str]:
    for name, score, lowest in (("mAP", scores.mean_ap, bar.min_map), ("AP@.5", scores.ap50, bar.min_ap50)):
        if lowest is not None and score < float(lowest):
            shown = f"{score:.3f}" if float(f"{score:.3f}") < float(lowest) else f"{score:.6f}"
            yield f"{prefix}{name} {shown} is below {lowest}"
