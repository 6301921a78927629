"""Count and log what happened to runs, from the versions of their status that the API server has stored.

Invariant: each version is compared once with the one before it, wherever it came from: the answer to a write, also one
that was lost and comes with the watch instead. The first version that this process sees of a run counts nothing.
"""

from __future__ import annotations

import logging
from typing import Final

from trainingrun.api import agent_reasons, clock, reasons
from trainingrun.api.run import Run
from trainingrun.api.status import Status
from trainingrun.domain import changes
from trainingrun.domain.accounting import SUSPENDED
from trainingrun.domain.history import REPLACED
from trainingrun.domain.verdicts import Outcome
from trainingrun.engine import metrics
from trainingrun.engine.memory import Memory
from trainingrun.engine.packed import pack

OTHER: Final = "Other"  # label of names that anyone can make up: each would be a time series for ever
_OUTCOMES: Final = {*map(str, Outcome), SUSPENDED, REPLACED}
log = logging.getLogger(__name__)


def account(memory: Memory, run: Run) -> None:
    """Count and log what is new in this version of a run."""
    before = memory.accounted
    if before is None:
        memory.accounted = pack(run)
        metrics.begin_namespace(run.namespace)
    elif run.resource_version != before.resource_version:
        memory.accounted = pack(run)
        _count(run.namespace, before.status, run.status)
        for line in changes.lines(before.status, run.status):
            level = logging.WARNING if line.bad else logging.INFO
            log.log(level, "%s: %s", run.key, line.text, extra={"fields": {"run": run.key, **line.fields}})


def _count(namespace: str, before: Status, after: Status) -> None:
    for entry in changes.started_attempts(before, after):
        metrics.ATTEMPTS_STARTED.labels(namespace, entry["stage"]).inc()
    for entry, end in changes.ended_attempts(before, after):
        outcome = _known(end.get("outcome"))
        metrics.ATTEMPTS_ENDED.labels(namespace, entry["stage"], outcome, reason_label(end.get("reason"))).inc()
        if (seconds := clock.seconds_between(end.get("startedAt"), end.get("endedAt"))) is not None:
            metrics.ATTEMPT_SECONDS.labels(namespace, entry["stage"], outcome).observe(seconds)
    finished = changes.run_finished(before, after)
    if finished is not None:
        outcome = changes.run_outcome(finished)
        metrics.RUNS_FINISHED.labels(namespace, outcome, reason_label(finished["reason"])).inc()
        duration = clock.seconds_between(after.get("startedAt"), after.get("finishedAt"))
        metrics.RUN_SECONDS.labels(namespace, outcome).observe(duration or 0.0)
    _count_training(namespace, before, after)


def _count_training(namespace: str, before: Status, after: Status) -> None:
    """Count how much the sums in `status.training` have grown."""
    old, new = before.get("training", {}), after.get("training", {})
    lost = new.get("stepsLost", 0) - old.get("stepsLost", 0)
    metrics.STEPS_LOST.labels(namespace).inc(max(0, lost))
    spent, counted = new.get("gpuSeconds", {}), old.get("gpuSeconds", {})
    for kind in metrics.GPU_KINDS:
        metrics.GPU_SECONDS.labels(namespace, kind).inc(max(0, spent.get(kind, 0) - counted.get(kind, 0)))


def reason_label(name: str | None) -> str:
    """Return a reason of the tables, else `Other`."""
    return name if name and (name in reasons.TABLE or name in agent_reasons.NAMES) else OTHER


def _known(outcome: str | None) -> str:
    return outcome if outcome and outcome in _OUTCOMES else OTHER
