"""What a run waits for, told as an Event only once it lasts: most waits are over before anybody could act on them.

Since when a run waits is in `status.progress.updated`, which moves only when the Progress column shows something else.
Nothing more is remembered: the Event of a wait has its name from that moment, so that a restart of the operator neither
repeats nor loses it.
"""

from __future__ import annotations

from typing import Final

from trainingrun.api import clock, reasons
from trainingrun.api.reason import Reason
from trainingrun.domain.decision import Decision
from trainingrun.domain.draft import Draft, Event
from trainingrun.domain.waiting import OF_EVERY_POD

LASTS_SECONDS: Final = 15
_PLANNED: Final = {reasons.JOB_SUSPENDED, reasons.PRETRAINED_RUN_NOT_READY}  # somebody wants it so: no Warning


def waited_seconds(draft: Draft) -> float:
    """Return for how long the run has shown what it shows now."""
    since = (draft.status.get("progress") or {}).get("updated")
    return clock.seconds_between(since, draft.now_text) or 0.0


def report_if_it_lasts(decision: Decision, reason: Reason, message: str) -> None:
    """Emit the Event of the wait that is shown, once it has lasted; the same wait has only one."""
    draft = decision.draft
    if reason in OF_EVERY_POD:
        return
    left = LASTS_SECONDS - waited_seconds(draft)
    if left > 0:
        decision.requeue(after=left)
        return
    since = draft.status["progress"]["updated"]
    draft.events.append(Event("Normal" if reason in _PLANNED else "Warning", reason.name, message, wait_since=since))
