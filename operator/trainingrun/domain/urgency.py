"""How soon a run is looked at when many wait: work in flight, then new runs, then progress, then finished runs.

A GPU that waits for the next Job costs more than a run that is accepted a little later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

from trainingrun.api import conditions
from trainingrun.api.run import Run
from trainingrun.domain.observe import JobView, PodView


class Urgency(IntEnum):
    """Kinds of runs, the most urgent one first."""

    ENDED = 0  # its attempt has ended, or it is gone: the next Job, or what it holds, waits for this
    STARTING = 1  # between two attempts, or its attempt has not started to work
    NEW = 2  # nothing has been started for it, or its user has just changed it
    WORKING = 3  # its attempt works: only progress has changed
    FINISHED = 4


def urgency_of(run: Run | None, *, jobs: Iterable[JobView], pods: Iterable[PodView]) -> Urgency:
    """Return how urgent a run is by what is known of it and of its Jobs and Pods; None is a run that is gone."""
    if run is None or run.deleting:
        return Urgency.ENDED
    attempts = run.status.get("attempts", [])
    if conditions.is_true(run.status.get("conditions", []), conditions.FINISHED):
        as_stored = Urgency.FINISHED
    elif not attempts:
        as_stored = Urgency.NEW
    else:
        in_flight = next((entry for entry in attempts if entry.get("number", 0) > entry.get("ended", 0)), None)
        as_stored = Urgency.STARTING if in_flight is None else _of_attempt(in_flight, jobs, pods)
    is_changed = run.generation != run.status.get("observedGeneration")
    return min(as_stored, Urgency.NEW) if is_changed else as_stored


def _of_attempt(entry: Mapping[str, Any], jobs: Iterable[JobView], pods: Iterable[PodView]) -> Urgency:
    uid = entry.get("jobUID")
    if not uid:
        return Urgency.STARTING
    job = next((job for job in jobs if job.uid == uid), None)
    own = [pod for pod in pods if pod.job_uid == uid]
    if job is None or not job.undecided or any(pod.done or pod.gone for pod in own):
        return Urgency.ENDED
    return Urgency.WORKING if any(pod.started for pod in own) else Urgency.STARTING
