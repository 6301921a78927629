"""Show what the agent of the running attempt reports: how far it is, how fast, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from trainingrun.api import conditions, reasons
from trainingrun.api.names import STAGE_PHASE, Stage
from trainingrun.api.status import Dataset, Progress, Training
from trainingrun.domain import reported
from trainingrun.domain.draft import Draft
from trainingrun.domain.networks import DEFAULT_NETWORK, NETWORKS
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
    "reading": "reading labels",
    "pairing": "matching images and labels",
    "comparing": "looking for duplicates",
    "reporting": "drawing the report",
    "building": "building the graph",
    "waitingForTrainer": "waiting for TensorFlow",
    "shipping": "uploading",
    "exporting": "exporting the graph",
}
_COUNTED: Final = ("listing", "fetching", "reading", "pairing", "comparing", "reporting", "writing", "shipping")
# What is counted without knowing how much there is of it.
_OPEN_ENDED: Final = ("listing", "pairing")
# What the percentage of a stage counts; what comes after it is the step from 99 to 100.
_MAIN_WORK: Final = ("checking", "training", "inferring")
# While the trainer or exporter works, nothing waits for the storage.
_WITHOUT_STORAGE: Final = ("building", "training", "evaluating", "saving", "exporting", "inferring")


def show_progress(draft: Draft, stage: Stage, *, report: Mapping[str, Any]) -> None:
    """Write `status.progress`, the message and what the agent already knows of its results."""
    phase = STAGE_PHASE[stage]
    counts, percent = _counts(report), _percent(report)
    if stage is Stage.PREP:
        draft.update_dataset(reported.preparation(report))
    if stage is Stage.TRAIN:
        _show_training(draft, reported.training(report))
    text = _text(phase, report, counts=counts, percent=percent) + _how_long(draft, report)
    speed = _speed(report)
    wrong = _show_storage(draft, stage, report.get("storage"))
    column = text
    if wrong:
        working = report.get("phase") in _WITHOUT_STORAGE
        column = f"{text}, storage: {wrong}" if working else f"{phase}: waiting for the storage ({wrong})"
    draft.show(
        phase,
        message=f"{text}, {speed['rate']}" if "rate" in speed else text,
        text=column,
        stage=stage,
        progress={**counts, **({} if percent is None else {"percent": percent}), **speed},
    )


def training_position(numbers: Mapping[str, Any] | Training, *, percent: int | None = None) -> str:
    """Format the step that training has reached, such as ` 75/150 (50%)`; empty when it is unknown."""
    step, steps = reported.count(numbers.get("step")), reported.count(numbers.get("steps"))
    if step is None or not steps:
        return ""
    return f" {step}/{steps} ({100 * step // steps if percent is None else percent}%)"


def saved_images(dataset: Dataset) -> str:
    """Format the image at which an interrupted preparation goes on, such as `image 1200 of 5000`; empty if unknown."""
    saved, images = dataset.get("savedImages"), dataset.get("images")
    return f"image {saved} of {images}" if saved and images else ""


def _counts(report: Mapping[str, Any]) -> Progress:
    """Read how much the current activity has done of how much; empty unless both are known."""
    done, total = reported.count(report.get("done")), reported.count(report.get("total"))
    if done is None or not total:
        return {}
    unit = next((known for known in _UNITS if known == report.get("unit")), "")
    return {"done": done, "total": total, "unit": unit}


def _percent(report: Mapping[str, Any]) -> int | None:
    """Read the percentage of the stage; agents up to 0.1 report none, so theirs is computed from the main work."""
    percent = reported.count(report.get("percent"))
    if percent is not None:
        return min(100, percent)
    names = ("done", "total") if report.get("phase") in _MAIN_WORK else ("step", "steps")
    done, total = (reported.count(report.get(name)) for name in names)
    return min(99, 100 * done // total) if done is not None and total else None


def _speed(report: Mapping[str, Any]) -> Progress:
    """Read when the report was made, from where it was read, its rate and the time left."""
    speed = Progress()
    if (updated := reported.moment(report.get("updated"))) is not None:
        speed["updated"] = updated
    # Agents up to 0.1 estimate the end of any phase; only that of the main work says something about the stage.
    of_stage = "percent" in report or report.get("phase") in _MAIN_WORK
    if of_stage and (seconds_left := reported.seconds(report.get("etaSeconds"))) is not None:
        speed["etaSeconds"] = int(seconds_left)
        speed["eta"] = duration(seconds_left)
    if (rate := reported.rate(report.get("bytesPerSecond"))) is not None:
        speed["rate"] = rate
    for source in _SOURCES:
        if source == report.get("source"):
            speed["source"] = source
    return speed


def _text(phase: str, report: Mapping[str, Any], *, counts: Progress, percent: int | None) -> str:
    agent_phase = str(report.get("phase", "starting"))
    activity = f"{phase}: {_ACTIVITIES[agent_phase]}" if agent_phase in _ACTIVITIES else ""
    if activity and agent_phase not in _COUNTED:
        return activity
    if not counts:
        files = reported.count(report.get("done")) if agent_phase in _OPEN_ENDED else None
        if files:
            return f"{activity} {counted(files, 'file')}"
        moment = "ending" if agent_phase == "done" else "beginning"
        return activity or f"{phase}{training_position(report, percent=percent) or f': {moment}'}"
    if agent_phase == "evaluating":
        position, share = training_position(report, percent=percent), 100 * counts["done"] // counts["total"]
        return f"{phase}{position}, evaluating {_amount(counts)} ({min(100, share)}%)"
    text = f"{activity or phase} {_amount(counts)}"
    return text if activity or percent is None else f"{text} ({percent}%)"


def _how_long(draft: Draft, report: Mapping[str, Any]) -> str:
    """Say how long the graph of this network takes, where that is known: nothing moves meanwhile."""
    network = (draft.run.spec.get("model") or {}).get("network", DEFAULT_NETWORK)
    defaults = NETWORKS.get(network)
    if report.get("phase") != "building" or defaults is None or not defaults.build_seconds:
        return ""
    return f" (about {defaults.build_seconds} s for {network})"


def _amount(counts: Progress) -> str:
    done, total, unit = counts["done"], counts["total"], counts["unit"]
    if unit == "bytes":
        return size(done, total=total)
    return f"{done}/{total}" if unit in {"", "steps"} else f"{done}/{total} {unit}"


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
    """Write what the agent reports about the storage; return the reason for which it cannot be used, else empty."""
    if not isinstance(storage, Mapping) or not isinstance(storage.get("ready"), bool):
        doubt_storage(draft, stage)
        return ""
    message = str(storage.get("message") or "")
    if storage["ready"]:
        set_storage_ready(draft, True, reason=reasons.USABLE, message=message or "Storage answers.")
        return ""
    reason = reasons.named(storage.get("reason"))
    set_storage_ready(draft, False, reason=reason, message=message)
    return reason.name
