"""Write what an attempt found out into the status: results of a stage, and where the time went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api import clock, conditions
from trainingrun.api.names import AGENT, Stage
from trainingrun.domain import reported
from trainingrun.domain.draft import MAX_CAUSE, MAX_EVENT, MAX_SUMMARY, Draft, cut, sentences
from trainingrun.domain.observe import ContainerView, JobView, PodView
from trainingrun.domain.quantities import counted, grouped
from trainingrun.domain.reported import Reader
from trainingrun.domain.verdicts import Outcome, Verdict

_COUNTS: Final = ("trainImages", "evalImages", "trainObjects", "evalObjects", "errors", "warnings")
_DATASET: Final[Mapping[str, Reader]] = {
    **dict.fromkeys(_COUNTS, reported.count),
    "digest": reported.digest,
    "format": reported.label,
    "reused": reported.flag,
    "infos": reported.count,
    "reportURI": reported.uri,
    "reportJSONURI": reported.uri,
    "topFindings": reported.findings,
}
TRAINING: Final[Mapping[str, Reader]] = {
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


def record(draft: Draft, stage: Stage, verdict: Verdict) -> None:
    """Write the numbers of an ended attempt, successful or not."""
    numbers = verdict.numbers
    if stage is Stage.PREP:
        draft.merge("dataset", reported.pick(numbers, _DATASET))
    elif stage is Stage.TRAIN:
        draft.merge("training", reported.pick(numbers, TRAINING))
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
        told = _data_set(verdict.numbers) if stage is Stage.PREP else ""
        draft.note(conditions.STAGE_CONDITION[stage], told or verdict.message)


def _data_set(numbers: Mapping[str, Any]) -> str:
    """The data set in one line; empty where the verdict does not hold its counts."""
    known = reported.pick(numbers, _DATASET)
    if any(name not in known for name in _COUNTS):
        return ""
    counts = (
        counted(known["trainImages"] + known["evalImages"], "image"),
        counted(known["trainObjects"] + known["evalObjects"], "object"),
        counted(known["errors"], "error"),
        counted(known["warnings"], "warning"),
    )
    more = [f"{grouped(known['trainImages'])} train and {grouped(known['evalImages'])} eval images"]
    more += [f"{known['format']} labels"] if "format" in known else []
    more += ["prepared before"] if known.get("reused") else []
    text = f"{', '.join(counts)} ({', '.join(more)})."
    report = f" Report: {known.get('reportURI')}"
    return f"{text}{report}" if "reportURI" in known and len(text + report) <= MAX_EVENT else text


def storage(draft: Draft, *, ready: bool, reason: str, message: str) -> None:
    """Set StorageReady and emit an Event when it turns bad."""
    changed = draft.condition(conditions.STORAGE_READY, ready, reason=reason, message=message)
    if changed and not ready:
        draft.note(reason, message, warning=True)


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
