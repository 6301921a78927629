"""Show what the agent of the running attempt reports: how far it is, how fast, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api.names import STAGE_PHASE, Stage
from trainingrun.domain import reported
from trainingrun.domain.draft import Draft
from trainingrun.domain.quantities import counted, duration, size
from trainingrun.domain.results import TRAINING, storage

_UNITS: Final = ("images", "steps", "bytes", "files")
_DOING: Final = {
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


def show_progress(draft: Draft, stage: Stage, *, progress: Mapping[str, Any]) -> None:
    """Write `status.progress`, the message and what training says of itself."""
    phase = str(STAGE_PHASE[stage])
    counts = _counts(progress)
    updated = reported.moment(progress.get("updated")) or draft.now_text
    fields: dict[str, Any] = {"stage": str(stage), "updated": updated, **counts}
    eta = reported.seconds(progress.get("etaSeconds"))
    if eta is not None:
        fields |= {"etaSeconds": int(eta), "eta": duration(eta)}
    fields |= reported.pick({"rate": progress.get("bytesPerSecond")}, {"rate": reported.rate})
    if progress.get("source"):
        fields["source"] = progress["source"]
    if stage is Stage.PREP:
        draft.merge("dataset", reported.pick(progress, {"format": reported.label}))
    if stage is Stage.TRAIN:
        _show_training(draft, reported.pick(progress, TRAINING))
    text = _text(phase, progress, counts=counts)
    waits = _storage_waits(draft, progress.get("storage"))
    message = f"{text}, {fields['rate']}" if "rate" in fields else text
    draft.say(STAGE_PHASE[stage], message=message, text=f"{phase}: {waits}" if waits else text, **fields)


def trained(numbers: Mapping[str, Any]) -> str:
    """Where training stands while something else is counted, or nothing at all."""
    at, steps = reported.count(numbers.get("step")), reported.count(numbers.get("steps"))
    return f" {at}/{steps} ({100 * at // steps}%)" if at is not None and steps else ""


def _counts(progress: Mapping[str, Any]) -> dict[str, Any]:
    """What is done of what, where both are known."""
    done, total = reported.count(progress.get("done")), reported.count(progress.get("total"))
    if done is None or not total:
        return {}
    unit = next((known for known in _UNITS if known == progress.get("unit")), "")
    return {"done": done, "total": total, "unit": unit, "percent": min(100, 100 * done // total)}


def _text(phase: str, progress: Mapping[str, Any], *, counts: Mapping[str, Any]) -> str:
    step = str(progress.get("phase", "starting"))
    doing = f"{phase}: {_DOING[step]}" if step in _DOING else ""
    if doing and step not in _COUNTED:
        return doing
    if not counts:
        found = reported.count(progress.get("done")) if step == "listing" else None
        return f"{doing} {counted(found, 'file')}" if found else doing or f"{phase}{trained(progress) or ': beginning'}"
    amount = _amount(counts)
    if step == "evaluating":
        return f"{phase}{trained(progress)}, evaluating {amount}"
    return f"{doing or phase} {amount} ({counts['percent']}%)"


def _amount(counts: Mapping[str, Any]) -> str:
    done, total, unit = counts["done"], counts["total"], counts["unit"]
    if unit == "bytes":
        return size(done, of=total)
    return f"{done}/{total}" if unit == "steps" else f"{done}/{total} {unit}"


def _show_training(draft: Draft, numbers: Mapping[str, Any]) -> None:
    """Take over what training reports; the address of a checkpoint that is no longer the newest is dropped."""
    known = draft.status.get("training", {})
    if numbers.get("checkpointStep", known.get("checkpointStep")) != known.get("checkpointStep"):
        known.pop("checkpointURI", None)
    draft.merge("training", numbers)


def _storage_waits(draft: Draft, store: object) -> str:
    """Take over what the agent says of the storage; returns what it waits for, if it does."""
    if not isinstance(store, Mapping) or not isinstance(store.get("ready"), bool):
        return ""
    message = reported.plain(str(store.get("message") or ""))
    if store["ready"]:
        storage(draft, ready=True, reason="Usable", message=message or "Storage answers.")
        return ""
    storage(draft, ready=False, reason=str(store.get("reason", "")), message=message)
    return f"waiting for the storage ({store.get('reason', '')})"
