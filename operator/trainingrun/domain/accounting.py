"""What an attempt cost: its end goes into the history of its stage, its steps and GPU-seconds into `status.training`.

Invariant: this is written with the status that records the end, so every attempt counts once; sums never fall. Times
are those that Kubernetes recorded; how far training came is the agent's word, or else the progress that was last seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from trainingrun.api import clock
from trainingrun.api.names import AGENT, WORKER, Stage
from trainingrun.api.status import AttemptEnd, GpuSeconds, StageAttempts
from trainingrun.domain import history, reported
from trainingrun.domain.observe import ContainerView, PodView
from trainingrun.domain.stage import StageContext
from trainingrun.domain.verdicts import Outcome, Verdict

SUSPENDED: Final = "suspended"  # outcome of an attempt that is no failure
MAX_NODE: Final = 63


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended; without a verdict when the operator ended it for another cause than a failure."""

    outcome: str
    reason: str
    pod: PodView | None
    verdict: Verdict | None = None

    @classmethod
    def of(cls, verdict: Verdict, pod: PodView | None) -> Ending:
        """Return the end that a verdict describes."""
        return cls(verdict.outcome.value, verdict.reason.name, pod, verdict)


def close_attempt(context: StageContext, ending: Ending) -> None:
    """Account for the attempt in flight, before it is recorded as ended."""
    draft, entry, pod = context.draft, context.attempts, ending.pod
    draft.keep_before_end(context.stage)
    ended_at = _ended_at(pod) or draft.now_text
    end = AttemptEnd(number=entry["number"], endedAt=ended_at, outcome=ending.outcome, reason=ending.reason)
    if started_at := _started_at(context):
        end["startedAt"] = started_at
    if pod is not None and pod.node:
        end["node"] = pod.node[:MAX_NODE]
    if (code := _exit_code(pod)) is not None:
        end["exitCode"] = code
    if context.stage is Stage.TRAIN:
        work = _work_of(context, ending)
        if work.reached is not None:
            end |= {"fromStep": work.start, "toStep": work.reached}
        _sum_up(context, ending, work)
    history.add(entry, end)


def _started_at(context: StageContext) -> str:
    """When the attempt was created; `startedAt` of an attempt that goes on with a wait is that of the first one."""
    entry = context.attempts
    created = next((job.created for job in context.observed.jobs if job.uid == entry.get("jobUID")), "")
    return max(entry.get("startedAt", ""), reported.moment(created) or "")


@dataclass(frozen=True, slots=True)
class _Work:
    """Steps of one attempt of training; `reached` is None if it is not known to have made any.

    `seconds` pass from the first step to the last sign of work, with evaluations and saves.
    """

    start: int
    reached: int | None
    kept: int
    seconds: float

    @property
    def lost(self) -> int:
        """Steps after the checkpoint from which the next attempt resumes."""
        return 0 if self.reached is None else self.reached - self.kept

    @property
    def kept_seconds(self) -> float:
        """The part of the seconds that the kept steps took."""
        steps = 0 if self.reached is None else self.reached - self.start
        return self.seconds if steps <= 0 else self.seconds * (self.kept - self.start) / steps


def _work_of(context: StageContext, ending: Ending) -> _Work:
    known = _numbers(context, ending)
    start, step = reported.count(known.get("resumedFromStep")) or 0, reported.count(known.get("step"))
    if step is None or step < start:
        return _Work(start, None, start, 0.0)
    saved = max(start, reported.count(known.get("checkpointStep")) or 0)
    reached = max(step, saved)  # the step is read several times a second, and can be older than the checkpoint
    kept = reached if _keeps_all(ending) else saved
    return _Work(start, reached, kept, _work_seconds(ending, known) if reached > start else 0.0)


def _keeps_all(ending: Ending) -> bool:
    """Whether no step is lost: the trainer of a run that is being suspended saves a checkpoint after this."""
    return ending.outcome == Outcome.SUCCEEDED or (ending.outcome == SUSPENDED and ending.verdict is None)


def _numbers(context: StageContext, ending: Ending) -> Mapping[str, Any]:
    """What is known of the attempt's steps: from its verdict, its last report, or else from the status."""
    progress, pod = context.observed.progress, ending.pod
    report = progress if pod is not None and progress.get("podUID") == pod.uid else {}
    known = {**report, **(ending.verdict.numbers if ending.verdict else {})}
    if "step" in known:
        return known
    shown, entry = context.draft.status.get("training", {}), context.attempts
    # The status still shows the step of the attempt before until this one has reported its own.
    is_of_this = shown.get("step") != history.last_step(entry) if entry.get("history") else not entry.get("ended")
    return {**shown, **known} if is_of_this else known


def _work_seconds(ending: Ending, known: Mapping[str, Any]) -> float:
    """Seconds of work; agents of the version before report only those from the end of the download."""
    timings = ending.verdict.timings if ending.verdict else {}
    for claim in (known.get("trainingSeconds"), timings.get("work")):
        if (claimed := reported.seconds(claim)) is not None:
            return claimed
    trainer = _container(ending.pod, WORKER[Stage.TRAIN])
    return clock.seconds_between(trainer.started_at, trainer.finished_at) or 0.0


def _sum_up(context: StageContext, ending: Ending, work: _Work) -> None:
    """Add the attempt to the sums of `status.training`."""
    draft, numbers = context.draft, ending.verdict.numbers if ending.verdict else {}
    known = draft.status.get("training", {})
    if work.reached is not None:
        draft.update_training({"step": work.reached})
    if work.lost:
        before = max(known.get("stepsLost", 0), reported.count(numbers.get("stepsLost")) or 0)
        draft.update_training({"stepsLost": min(before + work.lost, reported.MAX_COUNT)})
    if ending.outcome == Outcome.INTERRUPTED:
        draft.update_training({"interruptions": known.get("interruptions", 0) + 1})
    if gpus := _gpus(context):
        spent = _gpu_seconds(work, gpus=gpus, held=_held_seconds(context, ending.pod))
        sums = known.get("gpuSeconds", {})
        draft.update_training(
            {
                "gpuSeconds": {
                    "useful": sums.get("useful", 0) + spent["useful"],
                    "lost": sums.get("lost", 0) + spent["lost"],
                    "waiting": sums.get("waiting", 0) + spent["waiting"],
                }
            }
        )


def _gpu_seconds(work: _Work, *, gpus: int, held: float) -> GpuSeconds:
    """Divide the seconds for which a pod held its GPUs; nothing but steps that are kept is useful."""
    worked = min(work.seconds, held)
    of_steps = round(gpus * worked)
    useful = min(round(gpus * work.kept_seconds), of_steps)
    return {"useful": useful, "lost": of_steps - useful, "waiting": max(0, round(gpus * held) - of_steps)}


def _gpus(context: StageContext) -> int:
    train: Mapping[str, Any] = context.resolved.get("train") or context.draft.run.spec.get("train") or {}
    return reported.count(train.get("gpus", 1)) or 0


def _held_seconds(context: StageContext, pod: PodView | None) -> float:
    """Seconds for which the pod held its GPUs: from its node until all its containers have ended."""
    draft, entry = context.draft, context.attempts
    if pod is not None:
        end = _ended_at(pod) or draft.now_text
        return clock.seconds_between(pod.scheduled_at, end) or 0.0
    return clock.seconds_between(entry.get("ranAt"), _last_seen(context, entry)) or 0.0


def _last_seen(context: StageContext, entry: StageAttempts) -> str:
    """When an attempt without a pod was last known to run."""
    shown = context.draft.status.get("progress", {})
    return max(entry.get("ranAt", ""), shown.get("updated", "") if shown.get("stage") == context.stage else "")


def _ended_at(pod: PodView | None) -> str:
    """When the last of our containers ended; empty while one may still run, or if its node forgot."""
    ends = [reported.moment(c.finished_at) if c.state == "terminated" else None for c in _own(pod)]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else ""


def _exit_code(pod: PodView | None) -> int | None:
    """Exit code of the container that failed, the worker's before the agent's; 0 if those that ended did not fail."""
    codes = [c.exit_code for c in reversed(_own(pod)) if c.state == "terminated" and c.exit_code is not None]
    return next((code for code in codes if code), codes[0] if codes else None)


def _own(pod: PodView | None) -> list[ContainerView]:
    if pod is None:
        return []
    return [_container(pod, name) for name in (AGENT, WORKER.get(pod.stage)) if name]


def _container(pod: PodView | None, name: str) -> ContainerView:
    return pod.containers.get(name, ContainerView()) if pod is not None else ContainerView()
