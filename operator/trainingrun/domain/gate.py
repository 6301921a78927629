"""export.gate and the condition Qualified: whether the exported detector reaches the scores that the spec asks for.

The agent compares the scores; the operator says what it found. The run succeeds either way. The condition exists only
with a gate: it is Unknown until an export has succeeded, so a run that fails is never qualified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainingrun.api import conditions, reasons
from trainingrun.api.conditions import QUALIFIED
from trainingrun.api.names import Stage
from trainingrun.domain import reported
from trainingrun.domain.draft import MAX_CAUSE, MAX_EVENT, Draft
from trainingrun.domain.quantities import counted
from trainingrun.domain.resolve import Resolved

_MET = "The exported detector reaches every score of spec.export.gate."
_NOT_YET = "No detector has been exported yet."
_NOT_REPORTED = "The export did not report whether it reaches spec.export.gate."


def await_export(draft: Draft, resolved: Resolved) -> None:
    """Show that a run with a gate has not been judged yet."""
    if (resolved.get("export") or {}).get("gate") and not draft.stage_done(Stage.EXPORT):
        draft.set_condition(QUALIFIED, None, reason=reasons.RUNNING, message=_NOT_YET)


def judge(draft: Draft, numbers: Mapping[str, Any]) -> None:
    """Set Qualified as the verdict of a successful export says, and emit which scores are too low."""
    if conditions.find(draft.status["conditions"], QUALIFIED) is None:
        return
    found = reported.gate(numbers.get("gate"))
    if found is None:
        draft.set_condition(QUALIFIED, None, reason=reasons.NOT_REPORTED, message=_NOT_REPORTED)
    elif found.met:
        draft.set_condition(QUALIFIED, True, reason=reasons.GATE_MET, message=_MET)
    else:
        message = _missed(found.missed, count=found.missed_count, limit=MAX_CAUSE)
        draft.set_condition(QUALIFIED, False, reason=reasons.GATE_MISSED, message=message)
        text = _missed(found.missed, count=found.missed_count, limit=MAX_EVENT)
        draft.add_event(reasons.GATE_MISSED, text, warning=True)


def _missed(texts: Sequence[str], *, count: int, limit: int) -> str:
    """Name as many of the scores as fit."""
    head = f"The exported detector misses {counted(count, 'score')} of spec.export.gate: "
    for shown in range(len(texts), -1, -1):
        left = count - shown
        rest = f"{left} more, see metrics.json of the export" if left and shown else "see metrics.json of the export"
        parts = [*texts[:shown], *([rest] if left or not shown else [])]
        text = f"{head}{'; '.join(parts)}."
        if len(text) <= limit:
            return text
    return head[:limit]
