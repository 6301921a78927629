"""Write what an attempt found out into the status: results of a stage, live progress, where the time went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api import clock, conditions
from trainingrun.api.names import AGENT, STAGE_PHASE, Stage
from trainingrun.domain.draft import Draft
from trainingrun.domain.observe import ContainerView, JobView, PodView
from trainingrun.domain.verdicts import Outcome, Verdict

_DATASET: Final = (
    "digest", "reused", "trainImages", "evalImages", "trainObjects", "evalObjects", "errors", "warnings",
    "reportURI", "topFindings",
)  # fmt: skip
_TRAINING: Final = ("step", "steps", "checkpointStep", "checkpointURI", "resumedFromStep", "stepsLost")
_METRICS: Final = ("loss", "ap50", "mAP")  # decimals are strings in the API
_EXPORT: Final = ("checkpointStep", "evalImages", "uri")
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
        draft.merge("dataset", _pick(numbers, _DATASET))
    elif stage is Stage.TRAIN:
        draft.merge("training", {**_pick(numbers, _TRAINING), **_decimals(numbers)})
    elif verdict.outcome is Outcome.SUCCEEDED:
        uri = str(numbers.get("uri", ""))
        files = {"frozenGraphURI": f"{uri}frozen_inference_graph.pb", "savedModelURI": f"{uri}saved_model/1/"}
        draft.merge("export", {**_pick(numbers, _EXPORT), **_decimals(numbers, ("ap50", "mAP")), **files})
    if verdict.outcome in {Outcome.STORAGE_REFUSED, Outcome.STORAGE_OUTAGE}:
        storage(draft, ready=False, reason=verdict.reason, message=verdict.message)
    elif verdict.outcome is Outcome.SUCCEEDED:
        warning = str(numbers.get("storageWarning", ""))
        storage(draft, ready=True, reason="Warning" if warning else "Usable", message=warning or "Storage answers.")


def complete(draft: Draft, stage: Stage, verdict: Verdict) -> None:
    """Make a stage's result durable: its condition becomes True."""
    record(draft, stage, verdict)
    if draft.condition(conditions.STAGE_CONDITION[stage], True, reason="Completed", message=verdict.message):
        draft.note(conditions.STAGE_CONDITION[stage], verdict.message)


def storage(draft: Draft, *, ready: bool, reason: str, message: str) -> None:
    """Set StorageReady and emit an Event when it turns bad."""
    changed = draft.condition(conditions.STORAGE_READY, ready, reason=reason, message=message)
    if changed and not ready:
        draft.note(reason, message, warning=True)


def show_progress(draft: Draft, stage: Stage, *, progress: Mapping[str, Any]) -> None:
    """Show what the agent of the running attempt reports (contracts: progress)."""
    phase_name = str(STAGE_PHASE[stage])
    reported = str(progress.get("phase", "starting"))
    done, total = progress.get("done"), progress.get("total")
    fields: dict[str, Any] = {"stage": str(stage), "updated": progress.get("updated", draft.now_text)}
    doing = _STARTING.get(reported, "")
    text = f"{phase_name}: {doing}" if doing else phase_name
    if isinstance(done, int) and isinstance(total, int) and total > 0:
        percent = min(100, 100 * done // total)
        unit = str(progress.get("unit", ""))
        fields |= {"done": done, "total": total, "unit": unit, "percent": percent}
        if not doing:
            what = "" if unit == "steps" else f" {unit}"
            text = f"{phase_name} {done}/{total}{what} ({percent}%)"
            text += ", evaluating" if reported == "evaluating" else ""
    eta = progress.get("etaSeconds")
    if isinstance(eta, int | float) and eta >= 0:
        fields |= {"etaSeconds": int(eta), "eta": duration(eta)}
    if progress.get("source"):
        fields["source"] = progress["source"]
    store = progress.get("storage") or {}
    if store.get("ready") is False:
        message = str(store.get("message", ""))
        storage(draft, ready=False, reason=str(store.get("reason", "Unknown")), message=message)
        text = f"{phase_name}: waiting for the storage, {store.get('reason', '')}"
    elif store.get("ready") is True:
        storage(draft, ready=True, reason="Usable", message=str(store.get("message") or "Storage answers."))
    if stage is Stage.TRAIN:
        draft.merge("training", {**_pick(progress, _TRAINING), **_decimals(progress)})
    draft.say(STAGE_PHASE[stage], message=text, **fields)


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
    entry.update({f"{part}Seconds": round(seconds, 1) for part, seconds in verdict.timings.items() if part in _PARTS})


_PARTS: Final = ("fetch", "work", "ship")


def duration(seconds: float) -> str:
    """Write seconds as people read them: 45s, 4m10s, 3h05m, 2d4h."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600}h"


def _pick(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values[name] for name in names if values.get(name) is not None}


def _decimals(values: Mapping[str, Any], names: tuple[str, ...] = _METRICS) -> dict[str, str]:
    return {name: f"{values[name]:.3f}" for name in names if isinstance(values.get(name), int | float)}
