"""What happened to a run between two versions of its status: for the operator's log and its metrics.

Invariant: only what the API server has stored counts, so a decision that is repeated is told once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from trainingrun.api import conditions, reasons
from trainingrun.api.names import Phase, Stage
from trainingrun.api.status import AttemptEnd, Condition, StageAttempts, Status
from trainingrun.domain import history
from trainingrun.domain.accounting import SUSPENDED
from trainingrun.domain.verdicts import Outcome

_WAITS_FOR_A_RUN: Final = {reasons.PRETRAINED_RUN_NOT_FOUND.name, reasons.PRETRAINED_RUN_NOT_READY.name}
_POD_REFUSED: Final = {entry.name for entry in (reasons.CREATION_REFUSED, reasons.POD_REFUSED, reasons.QUOTA_EXCEEDED)}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log, with what it is about as fields for programs; `bad` is for whoever looks for trouble."""

    text: str
    bad: bool
    fields: Mapping[str, object] = field(default_factory=dict)


def ended_attempts(before: Status, after: Status) -> Iterator[tuple[StageAttempts, AttemptEnd]]:
    """Ends that were recorded in between, each with the entry of its stage."""
    for old, entry in _attempts(before, after):
        new = max(0, history.count(entry) - history.count(old))
        known = entry.get("history", [])[-new:] if new else []
        yield from ((entry, end) for end in known)
        for _ in range(new - len(known)):  # the status had no room for it
            outcome, reason = entry.get("lastOutcome", ""), entry.get("lastReason", "")
            yield entry, AttemptEnd(number=entry["number"], outcome=outcome, reason=reason)


def started_attempts(before: Status, after: Status) -> Iterator[StageAttempts]:
    """Entries of stages whose newest attempt was started in between."""
    for old, entry in _attempts(before, after):
        if entry.get("number", 0) > old.get("number", 0) and "jobUID" in entry:
            yield entry


def run_finished(before: Status, after: Status) -> Condition | None:
    """Return the condition Succeeded of a run that finished in between."""
    if _is_finished(before) or not _is_finished(after):
        return None
    return _condition(after, conditions.SUCCEEDED)


def lines(before: Status, after: Status) -> Iterator[Line]:
    """One line for each attempt that ended, each refusal, and each change of the whole run."""
    yield from (_end_line(entry, end) for entry, end in ended_attempts(before, after))
    accepted = _changed(before, after, conditions.ACCEPTED)
    if accepted is not None:
        yield _accepted_line(accepted)
    for stage in Stage:
        refused = _changed(before, after, conditions.STAGE_CONDITION[stage])
        if refused is not None and refused["reason"] in _POD_REFUSED:
            text = f"{stage} waits ({refused['reason']}): {refused['message']}"
            yield Line(text, True, {"stage": stage.value, "reason": refused["reason"]})
    yield from _run_lines(before, after)


def _end_line(entry: StageAttempts, end: AttemptEnd) -> Line:
    outcome, reason = end.get("outcome", ""), end.get("reason", "")
    parts = [f"attempt {end['number']} of {entry['stage']} ended: {outcome} ({reason})"]
    if "toStep" in end:
        parts.append(f"steps {end.get('fromStep', 0)} to {end['toStep']}")
    if "exitCode" in end:
        parts.append(f"exit code {end['exitCode']}")
    if "node" in end:
        parts.append(f"node {end['node']}")
    counted = outcome == entry.get("lastOutcome") and end["number"] == entry.get("ended")
    message = f": {entry.get('lastMessage', '')}" if counted else ""
    fields = {"stage": entry["stage"], "attempt": end["number"], "outcome": outcome, "reason": reason}
    return Line(", ".join(parts) + message, outcome not in {Outcome.SUCCEEDED, SUSPENDED}, fields)


def _accepted_line(condition: Condition) -> Line:
    reason = condition["reason"]
    if condition["status"] == "True":
        return Line("accepted", False, {"reason": reason})
    text = f"not accepted ({reason}): {condition['message']}"
    return Line(text, reason not in _WAITS_FOR_A_RUN, {"reason": reason})


def _run_lines(before: Status, after: Status) -> Iterator[Line]:
    was, now = str(before.get("phase")), str(after.get("phase"))
    end = run_finished(before, after)
    if end is not None:
        fields = {"outcome": run_outcome(end), "reason": end["reason"]}
        yield Line(f"{fields['outcome']} ({end['reason']}): {end['message']}", end["status"] != "True", fields)
    elif _is_finished(before) and not _is_finished(after):
        yield Line(f"retried: spec.retry is {after.get('retry', 0)}", False, {"reason": reasons.RETRY.name})
    elif now == Phase.SUSPENDED.value != was:
        yield Line(f"suspended: {after.get('message', '')}", False, {"reason": reasons.SUSPENDED.name})
    elif was == Phase.SUSPENDED.value != now:
        yield Line(f"resumed: {after.get('message', '')}", False)


def run_outcome(succeeded: Condition) -> str:
    """Return the outcome of a finished run."""
    return "succeeded" if succeeded["status"] == "True" else "failed"


def _attempts(before: Status, after: Status) -> Iterator[tuple[StageAttempts, StageAttempts]]:
    known: Mapping[str, StageAttempts] = {entry["stage"]: entry for entry in before.get("attempts", ())}
    for entry in after.get("attempts", ()):
        yield known.get(entry["stage"], {"stage": entry["stage"]}), entry


def _condition(status: Status, kind: str) -> Condition | None:
    return conditions.find(status.get("conditions", ()), kind)


def _changed(before: Status, after: Status, kind: str) -> Condition | None:
    """Return a condition whose status or reason changed."""
    old, new = _condition(before, kind), _condition(after, kind)
    same = old is not None and new is not None and (old["status"], old["reason"]) == (new["status"], new["reason"])
    return None if same else new


def _is_finished(status: Status) -> bool:
    return conditions.is_true(status.get("conditions", ()), conditions.FINISHED)
