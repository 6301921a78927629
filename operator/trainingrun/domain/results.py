"""Write what an attempt found out into the status: the results of its stage, and where its time went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainingrun.api import clock, conditions, reasons
from trainingrun.api.names import Stage
from trainingrun.api.reason import Reason
from trainingrun.domain import early_end, gate, reported, scores
from trainingrun.domain.draft import MAX_CAUSE, MAX_EVENT, MAX_HINT, MAX_SUMMARY, Draft
from trainingrun.domain.lost_results import is_dataset_lost
from trainingrun.domain.observe import JobView, PodView
from trainingrun.domain.quantities import counted, grouped
from trainingrun.domain.texts import cut, sentences
from trainingrun.domain.verdicts import Outcome, Verdict

_SUMMARY_COUNTS = {"trainImages", "evalImages", "trainObjects", "evalObjects", "errors", "warnings"}


def complete_stage(draft: Draft, stage: Stage, verdict: Verdict) -> None:
    """Write the results of a successful attempt and set the stage's condition to True."""
    if stage is Stage.PREP:  # the data set is complete: its own counts say how many images it has
        known = draft.status.get("dataset", {})
        for name in ("images", "savedImages", "evalImagesInTrain", "evalImagesLikeTrain"):
            known.pop(name, None)  # type: ignore[misc]
    write_numbers(draft, stage, verdict)
    kind, reason, message = conditions.STAGE_CONDITION[stage], reasons.COMPLETED, verdict.message
    training = draft.status.get("training", {})
    early = early_end.text(training, spec=draft.run.spec) if stage is Stage.TRAIN else ""
    if early:
        reason, message = early_end.reason_of_training(training), sentences(early, early_end.best(training))
    done = draft.set_condition(kind, True, reason=reason, message=cut(message, MAX_SUMMARY))
    if done and early:
        draft.add_event(reason, message)
    if stage is Stage.EXPORT:
        gate.judge(draft, verdict.numbers)
    if done and stage is Stage.PREP:
        draft.add_event(reasons.PREPARED, _dataset_summary(verdict.numbers) or verdict.message)


def write_numbers(draft: Draft, stage: Stage, verdict: Verdict) -> None:
    """Write the numbers of an ended attempt, successful or not, where its log is, and what it says of the storage."""
    if verdict.logs_uri:
        draft.status["logsURI"] = verdict.logs_uri
    if stage is Stage.PREP:
        draft.update_dataset(reported.dataset(verdict.numbers))
        if (resumed := reported.resumed_from(verdict.numbers.get("resumedFrom"))) is not None:
            draft.status["resumedFrom"] = resumed
        draft.update_training(reported.configuration(verdict.numbers))
    elif stage is Stage.TRAIN:
        draft.update_training(reported.training(verdict.numbers))
    elif verdict.outcome is Outcome.SUCCEEDED:
        draft.update_export(reported.export(verdict.numbers))
    if verdict.outcome in {Outcome.STORAGE_REFUSED, Outcome.STORAGE_OUTAGE} and not is_dataset_lost(verdict):
        hint = cut(verdict.hint, MAX_HINT)  # the next step matters more than the end of the message
        message = sentences(cut(verdict.message, MAX_CAUSE - len(hint) - 2), hint)
        draft.set_condition(conditions.STORAGE_READY, False, reason=verdict.reason, message=message)
    elif verdict.outcome is Outcome.SUCCEEDED:
        warning = str(verdict.numbers.get("storageWarning", ""))
        reason = reasons.WARNING if warning else reasons.USABLE
        set_storage_ready(draft, True, reason=reason, message=warning or "Storage answers.")


def set_storage_ready(draft: Draft, ready: bool, *, reason: Reason, message: str) -> None:  # noqa: FBT001
    """Set StorageReady, and emit an Event when it becomes False."""
    changed = draft.set_condition(conditions.STORAGE_READY, ready, reason=reason, message=message)
    if changed and not ready:
        draft.add_event(reason, message, warning=True)


def write_timings(draft: Draft, stage: Stage, *, job: JobView | None, pod: PodView | None, verdict: Verdict) -> None:
    """Write where an attempt's time went, in seconds: until scheduled, until started, fetch, work, ship, total."""
    if job is None or pod is None:
        return
    agent = pod.agent
    entry = draft.timings(stage)
    if (waiting := clock.seconds_between(job.created, pod.scheduled_at)) is not None:
        entry["waitingSeconds"] = waiting
    if (image := clock.seconds_between(pod.scheduled_at, agent.started_at)) is not None:
        entry["imageSeconds"] = image
    if (total := clock.seconds_between(job.created, agent.finished_at or draft.now_text)) is not None:
        entry["totalSeconds"] = total
    reported.add_timings(entry, verdict.timings)
    if peak := reported.peak_memory(verdict.numbers.get("peakMemoryBytes")):
        entry["peakMemoryBytes"] = peak


def _dataset_summary(numbers: Mapping[str, Any]) -> str:
    """Describe the data set in one line; empty when a count is missing."""
    known = reported.dataset(numbers)
    if not known.keys() >= _SUMMARY_COUNTS:
        return ""
    counts = (
        counted(known["trainImages"] + known["evalImages"], "image"),
        counted(known["trainObjects"] + known["evalObjects"], "object"),
        counted(known["errors"], "error"),
        counted(known["warnings"], "warning"),
    )
    details = [f"{grouped(known['trainImages'])} train and {grouped(known['evalImages'])} eval images"]
    details += [f"{known['format']} labels"] if "format" in known else []
    details += ["prepared before"] if known.get("reused") else []
    details += [seen] if (seen := scores.seen_in_training(known)) else []
    text = f"{', '.join(counts)} ({', '.join(details)})."
    report = f" Report: {known.get('reportURI')}"
    return f"{text}{report}" if "reportURI" in known and len(text + report) <= MAX_EVENT else text
