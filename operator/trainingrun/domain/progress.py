"""Show what the agent of the running attempt reports: how far it is, how fast, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from trainingrun.api import conditions, reasons
from trainingrun.api.names import STAGE_PHASE, Stage
from trainingrun.api.status import Progress, Training
from trainingrun.domain import reported
from trainingrun.domain.draft import Draft
from trainingrun.domain.quantities import counted, duration, size
from trainingrun.domain.results import set_storage_ready

_UNITS: Final = ("images", "steps", "bytes", "files")
_SOURCES: Final[tuple[Literal["agent", "log"], ...]] = ("agent", "log")
# Phases of the agent that the message names; the others are shown by their numbers alone.
_ACTIVITIES: Final = {
    "starting": "starting",
    "preflight": "checking the storage",
    "listing": "listing",
    "writing": "writing",
    "fetching": "fetching",
    "building": "building the graph",
    "waitingForTrainer": "waiting for the trainer",
    "shipping": "shipping",
    "exporting": "exporting the graph",
}
_COUNTED: Final = ("listing", "writing", "fetching", "shipping")


def show_progress(draft: Draft, stage: Stage, *, report: Mapping[str, Any]) -> None:
    """Write `status.progress`, the message and what the agent already knows of its results."""
    phase = STAGE_PHASE[stage]
    counts = _counts(report)
    if stage is Stage.PREP and (label_format := reported.label(report.get("format"))) is not None:
        draft.update_dataset({"format": label_format})
    if stage is Stage.TRAIN:
        _show_training(draft, reported.training(report))
    text = _text(phase, report, counts=counts)
    waits_for = _show_storage(draft, stage, report.get("storage"))
    speed = _speed(report)
    draft.show(
        phase,
        message=f"{text}, {speed['rate']}" if "rate" in speed else text,
        text=f"{phase}: {waits_for}" if waits_for else text,
        stage=stage,
        progress={**counts, **speed},
    )


def training_position(numbers: Mapping[str, Any] | Training) -> str:
    """Format the step that training has reached, such as ` 75/150 (50%)`; empty when it is unknown."""
    step, steps = reported.count(numbers.get("step")), reported.count(numbers.get("steps"))
    return f" {step}/{steps} ({100 * step // steps}%)" if step is not None and steps else ""


def _counts(report: Mapping[str, Any]) -> Progress:
    """Read how much is done of how much; empty unless both are known."""
    done, total = reported.count(report.get("done")), reported.count(report.get("total"))
    if done is None or not total:
        return {}
    unit = next((known for known in _UNITS if known == report.get("unit")), "")
    return {"done": done, "total": total, "unit": unit, "percent": min(100, 100 * done // total)}


def _speed(report: Mapping[str, Any]) -> Progress:
    """Read when the report was made, from where it was read, its rate and the time left."""
    speed = Progress()
    if (updated := reported.moment(report.get("updated"))) is not None:
        speed["updated"] = updated
    if (seconds_left := reported.seconds(report.get("etaSeconds"))) is not None:
        speed["etaSeconds"] = int(seconds_left)
        speed["eta"] = duration(seconds_left)
    if (rate := reported.rate(report.get("bytesPerSecond"))) is not None:
        speed["rate"] = rate
    for source in _SOURCES:
        if source == report.get("source"):
            speed["source"] = source
    return speed


def _text(phase: str, report: Mapping[str, Any], *, counts: Progress) -> str:
    agent_phase = str(report.get("phase", "starting"))
    activity = f"{phase}: {_ACTIVITIES[agent_phase]}" if agent_phase in _ACTIVITIES else ""
    if activity and agent_phase not in _COUNTED:
        return activity
    if not counts:
        files = reported.count(report.get("done")) if agent_phase == "listing" else None
        if files:
            return f"{activity} {counted(files, 'file')}"
        return activity or f"{phase}{training_position(report) or ': beginning'}"
    if agent_phase == "evaluating":
        return f"{phase}{training_position(report)}, evaluating {_amount(counts)}"
    return f"{activity or phase} {_amount(counts)} ({counts['percent']}%)"


def _amount(counts: Progress) -> str:
    done, total, unit = counts["done"], counts["total"], counts["unit"]
    if unit == "bytes":
        return size(done, total=total)
    return f"{done}/{total}" if unit == "steps" else f"{done}/{total} {unit}"


def _show_training(draft: Draft, numbers: Training) -> None:
    """Write what training reports; the address of a checkpoint that is no longer the newest is removed."""
    known = draft.status.get("training", {})
    if numbers.get("checkpointStep", known.get("checkpointStep")) != known.get("checkpointStep"):
        known.pop("checkpointURI", None)
    draft.update_training(numbers)


def doubt_storage(draft: Draft, stage: Stage) -> None:
    """Take back a StorageReady=False of an attempt before the one that runs, which has not reported on it."""
    begun = draft.attempts(stage).get("startedAt", "")
    known = conditions.find(draft.status["conditions"], conditions.STORAGE_READY)
    if known is not None and known["status"] == "False" and known["lastTransitionTime"] <= begun:
        message = f"Attempt {draft.attempts(stage)['number']} of {stage} has not reported on the storage yet."
        draft.set_condition(conditions.STORAGE_READY, None, reason=reasons.NOT_REPORTED, message=message)


def _show_storage(draft: Draft, stage: Stage, storage: object) -> str:
    """Write what the agent reports about the storage; return what the agent waits for, empty if nothing."""
    if not isinstance(storage, Mapping) or not isinstance(storage.get("ready"), bool):
        doubt_storage(draft, stage)
        return ""
    message = str(storage.get("message") or "")
    if storage["ready"]:
        set_storage_ready(draft, True, reason=reasons.USABLE, message=message or "Storage answers.")
        return ""
    reason = reasons.named(storage.get("reason"))
    set_storage_ready(draft, False, reason=reason, message=message)
    return f"waiting for the storage ({reason.name})"
