"""Write what an attempt found out into the status: results of a stage, live progress, where the time went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api import clock, conditions
from trainingrun.api.names import AGENT, STAGE_PHASE, Stage
from trainingrun.domain import reported
from trainingrun.domain.draft import MAX_CAUSE, MAX_SUMMARY, Draft, cut, sentences
from trainingrun.domain.observe import ContainerView, JobView, PodView
from trainingrun.domain.reported import Reader
from trainingrun.domain.verdicts import Outcome, Verdict

_COUNTS: Final = ("trainImages", "evalImages", "trainObjects", "evalObjects", "errors", "warnings")
_DATASET: Final[Mapping[str, Reader]] = {
    **dict.fromkeys(_COUNTS, reported.count),
    "digest": reported.digest,
    "format": reported.label,
    "reused": reported.flag,
    "reportURI": reported.uri,
    "topFindings": reported.findings,
}
_TRAINING: Final[Mapping[str, Reader]] = {
    **dict.fromkeys(("step", "steps", "checkpointStep", "resumedFromStep", "stepsLost"), reported.count),
    **dict.fromkeys(("loss", "ap50", "mAP"), reported.decimal),
    "checkpointURI": reported.uri,
}
_EXPORT: Final[Mapping[str, Reader]] = {
    **dict.fromkeys(("checkpointStep", "evalImages"), reported.count),
    **dict.fromkeys(("ap50", "mAP"), reported.decimal),
    "uri": reported.uri,
}
_PARTS: Final = ("fetch", "work", "ship")
_UNITS: Final = ("images", "steps", "bytes", "files")
_STARTING: Final = {
    "starting": "starting",
    "preflight": "checking the storage",
    "fetching": "fetching",
    "building": "building the graph",
    "waitingForTrainer": "waiting for the trainer",
    "shipping": "shipping",
    "exporting": "exporting the graph",
}


def record(draft: Draft, stage: Stage, verdict: Verdict) -> None:
    """Write the numbers of an ended attempt, successful or not."""
    numbers = verdict.numbers
    if stage is Stage.PREP:
        draft.merge("dataset", reported.pick(numbers, _DATASET))
    elif stage is Stage.TRAIN:
        draft.merge("training", reported.pick(numbers, _TRAINING))
    elif verdict.outcome is Outcome.SUCCEEDED:
        export = reported.pick(numbers, _EXPORT)
        if "uri" in export:
            export["frozenGraphURI"] = f"{export['uri']}frozen_inference_graph.pb"
            export["savedModelURI"] = f"{export['uri']}saved_model/1/"
        draft.merge("export", export)
    if verdict.outcome in {Outcome.STORAGE_REFUSED, Outcome.STORAGE_OUTAGE}:
        room = max(0, MAX_CAUSE - len(verdict.hint) - 2)  # the next step is worth more than the end of the story
        message = sentences(cut(verdict.message, room), verdict.hint)
        draft.condition(conditions.STORAGE_READY, False, reason=verdict.reason, message=message)
    elif verdict.outcome is Outcome.SUCCEEDED:
        warning = str(numbers.get("storageWarning", ""))
        storage(draft, ready=True, reason="Warning" if warning else "Usable", message=warning or "Storage answers.")


def complete(draft: Draft, stage: Stage, verdict: Verdict) -> None:
    """Make a stage's result durable: its condition becomes True."""
    record(draft, stage, verdict)
    message = verdict.message[:MAX_SUMMARY]
    if draft.condition(conditions.STAGE_CONDITION[stage], True, reason="Completed", message=message):
        draft.note(conditions.STAGE_CONDITION[stage], verdict.message)


def storage(draft: Draft, *, ready: bool, reason: str, message: str) -> None:
    """Set StorageReady and emit an Event when it turns bad."""
    changed = draft.condition(conditions.STORAGE_READY, ready, reason=reason, message=message)
    if changed and not ready:
        draft.note(reason, message, warning=True)


def show_progress(draft: Draft, stage: Stage, *, progress: Mapping[str, Any]) -> None:
    """Show what the agent of the running attempt reports (contracts: progress)."""
    phase_name = str(STAGE_PHASE[stage])
    step = str(progress.get("phase", "starting"))
    done, total = reported.count(progress.get("done")), reported.count(progress.get("total"))
    updated = reported.moment(progress.get("updated")) or draft.now_text
    fields: dict[str, Any] = {"stage": str(stage), "updated": updated}
    doing = _STARTING.get(step, "")
    text = f"{phase_name}: {doing}" if doing else f"{phase_name}{trained(progress) or ': beginning'}"
    if done is not None and total:
        percent = min(100, 100 * done // total)
        unit = next((known for known in _UNITS if known == progress.get("unit")), "")
        fields |= {"done": done, "total": total, "unit": unit, "percent": percent}
        if not doing:
            what = "" if unit == "steps" else f" {unit}"
            text = f"{phase_name} {done}/{total}{what} ({percent}%)"
            if step == "evaluating":
                text = f"{phase_name}{trained(progress)}, evaluating {done}/{total}{what}"
    eta = reported.seconds(progress.get("etaSeconds"))
    if eta is not None:
        fields |= {"etaSeconds": int(eta), "eta": duration(eta)}
    if progress.get("source"):
        fields["source"] = progress["source"]
    if stage is Stage.PREP:
        draft.merge("dataset", reported.pick(progress, {"format": reported.label}))
    if stage is Stage.TRAIN:
        _show_training(draft, reported.pick(progress, _TRAINING))
    waits = _storage_waits(draft, progress.get("storage"))
    draft.say(STAGE_PHASE[stage], message=text, text=f"{phase_name}: {waits}" if waits else text, **fields)


def _show_training(draft: Draft, numbers: Mapping[str, Any]) -> None:
    """Take over what training reports; the address of a checkpoint that is no longer the newest is dropped."""
    known = draft.status.get("training", {})
    if numbers.get("checkpointStep", known.get("checkpointStep")) != known.get("checkpointStep"):
        known.pop("checkpointURI", None)
    draft.merge("training", numbers)


def trained(numbers: Mapping[str, Any]) -> str:
    """Where training stands while something else is counted, or nothing at all."""
    at, steps = reported.count(numbers.get("step")), reported.count(numbers.get("steps"))
    return f" {at}/{steps} ({100 * at // steps}%)" if at is not None and steps else ""


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


def time_spent(draft: Draft, stage: Stage, *, job: JobView | None, pod: PodView | None, verdict: Verdict) -> None:
    """Write where an attempt's time went, in seconds: until scheduled, until started, fetch, work, ship, all."""
    if job is None or pod is None:
        return
    agent = pod.containers.get(AGENT, ContainerView())
    end = agent.finished_at or draft.now_text
    entry = draft.entry("timings", stage)
    spans = {
        "waitingSeconds": clock.seconds_between(job.created, pod.scheduled_at),
        "imageSeconds": clock.seconds_between(pod.scheduled_at, agent.started_at),
        "totalSeconds": clock.seconds_between(job.created, end),
    }
    entry.update({name: value for name, value in spans.items() if value is not None})
    parts = reported.pick(verdict.timings, dict.fromkeys(_PARTS, reported.seconds))
    entry.update({f"{part}Seconds": value for part, value in parts.items()})


def duration(seconds: float) -> str:
    """Write seconds as people read them: 45s, 4m10s, 3h05m, 2d4h."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{min(whole // 86400, 9999)}d{whole % 86400 // 3600}h"
