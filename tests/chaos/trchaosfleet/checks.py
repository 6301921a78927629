"""Invariants over the whole history of a schedule, in the order of the API server's versions."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from trainingrun.api.conditions import FINISHED, STAGE_CONDITION
from trainingrun.api.conditions import SUCCEEDED as RUN_SUCCEEDED
from trainingrun.api.names import Stage
from trchaos.rules.budgets import RETRIES
from trchaosfleet.kube import Body
from trchaosfleet.ledger import JobLife, Ledger, RunLife, attempts, condition, is_true, summary
from trchaosfleet.script import INTERRUPTED, SUCCEEDED

REQUESTS_PER_ATTEMPT = 25
REQUESTS_PER_RUN = 60


def check(ledger: Ledger, requests: dict[str, int]) -> None:
    """Check every run; what is broken is in `ledger.violations` afterwards."""
    jobs: defaultdict[str, list[JobLife]] = defaultdict(list)
    for job in ledger.jobs.values():
        jobs[job.run_uid].append(job)
    made: defaultdict[str, int] = defaultdict(int)
    for run in ledger.runs.values():
        made[f"{run.namespace}/{run.name}"] += len(jobs[run.uid])
        broken = [*_statuses(run), *_jobs(ledger, run, jobs[run.uid]), *_counts(ledger, run, jobs[run.uid])]
        if not run.deleted_by_user:
            broken += _end(ledger, run)
        for text in broken:
            ledger.violate(f"{run.namespace}/{run.name}: {text}")
    for key, count in requests.items():
        most = REQUESTS_PER_RUN + REQUESTS_PER_ATTEMPT * made[key]
        if count > most:
            ledger.violate(f"{key}: {count} requests for {made[key]} Jobs, more than {most}")


def _statuses(run: RunLife) -> Iterator[str]:
    for (_, _, before), (_, spec, after) in pairwise(run.statuses):
        yield from _step(before, after, spec)
    for _, _, status in run.statuses:
        yield from _alone(status)


def _step(before: Body, after: Body, spec: Body) -> Iterator[str]:
    """What must never go back from one stored status to the next."""
    for stage in Stage:
        old, new = attempts(before, stage), attempts(after, stage)
        for field in ("number", "ended"):
            if new.get(field, 0) < old.get(field, 0):
                yield f"attempts of {stage}: {field} went from {old[field]} to {new.get(field)}"
        kind = STAGE_CONDITION[stage]
        if is_true(before, kind) and not is_true(after, kind):
            yield f"condition {kind} was True and is not any more"
    if is_true(before, FINISHED) and not is_true(after, FINISHED):
        if is_true(before, RUN_SUCCEEDED):
            yield "a run that has succeeded goes on"
        elif spec.get("retry", 0) <= before.get("retry", 0):
            yield "a run that has failed goes on without a retry"


def _alone(status: Body) -> Iterator[str]:
    """What must never be stored at all."""
    decided = condition(status, RUN_SUCCEEDED).get("status") in {"True", "False"}
    if is_true(status, FINISHED) != decided:
        yield "Finished and Succeeded do not agree on whether the run has ended"
    for stage in Stage:
        entry = attempts(status, stage)
        if entry.get("ended", 0) > entry.get("number", 0):
            yield f"attempts of {stage}: more have ended than were started"
        goes_on = entry.get("number", 0) > entry.get("ended", 0) and not is_true(status, FINISHED)
        for kind, count in (entry.get("failures") or {}).items():
            if count > RETRIES[kind] + (0 if goes_on else 1):
                yield f"{stage} went on after its budget for {kind}: {count}"


def _jobs(ledger: Ledger, run: RunLife, jobs: list[JobLife]) -> Iterator[str]:
    """Jobs that must not have been created when they were; a Job is created before the status that explains it."""
    by_number: defaultdict[tuple[Stage, int], list[JobLife]] = defaultdict(list)
    for job in sorted(jobs, key=lambda each: each.version):
        by_number[job.stage, job.attempt].append(job)
        if not job.exact:
            continue
        spec, status = run.at(job.version)
        if is_true(status, STAGE_CONDITION[job.stage]):
            yield f"Job {job.name} was created although its stage was done"
        if is_true(status, FINISHED) and spec.get("retry", 0) <= status.get("retry", 0):
            yield f"Job {job.name} was created although the run had ended"
        if job.attempt > attempts(status, job.stage).get("number", 0) + 1:
            yield f"Job {job.name} skips an attempt"
        if not all(SUCCEEDED in _outcomes(ledger, run, stage) for stage in _before(job.stage)):
            yield f"Job {job.name} was created before the stages before it had succeeded"
    for (stage, number), same in by_number.items():
        for job in same[1:]:
            if job.exact and attempts(run.at(job.version)[1], stage).get("number", 0) >= number:
                yield f"attempt {number} of {stage} was created again after the status had it"


def _outcomes(ledger: Ledger, run: RunLife, stage: Stage) -> set[str]:
    return {pod.outcome for pods in ledger.ends_of(run, stage).values() for pod in pods}


def _before(stage: Stage) -> list[Stage]:
    return list(Stage)[: list(Stage).index(stage)]


def _counts(ledger: Ledger, run: RunLife, jobs: list[JobLife]) -> Iterator[str]:
    """Failures that were counted although no attempt ended like that, or twice."""
    for stage in Stage:
        ends = ledger.ends_of(run, stage)
        for kind, count in (attempts(run.status, stage).get("failures") or {}).items():
            real = sum(any(pod.outcome == kind for pod in pods) for pods in ends.values())
            if kind in {INTERRUPTED, "crash"}:  # an attempt that was told to end may leave nothing, or no pod at all
                numbers = {number for number, pods in ends.items() if any(pod.disturbed for pod in pods)}
                numbers |= {job.attempt for job in jobs if job.stage is stage and job.attempt not in ends}
                numbers |= {number for number, pods in ends.items() if any(pod.outcome == kind for pod in pods)}
                numbers |= {job.attempt for job in jobs if job.stage is stage and job.deleted}
                real = len(numbers)
            if count > real:
                yield f"{stage}: {count} ends by {kind} were counted, and there were {real}"


def _end(ledger: Ledger, run: RunLife) -> Iterator[str]:
    """Whether a run has ended, and as its pods did."""
    status = run.status
    if not is_true(status, FINISHED):
        how = "was deleted before it ended" if run.gone else "has not ended"
        yield f"{how}: {json.dumps(summary(run))}"
        return
    if is_true(status, RUN_SUCCEEDED):
        for stage in Stage:
            outcomes = _outcomes(ledger, run, stage)
            if SUCCEEDED not in outcomes:
                yield f"has succeeded, but no pod of {stage} did: {sorted(outcomes)}"
        return
    failed = next((stage for stage in Stage if not is_true(status, STAGE_CONDITION[stage])), None)
    if failed is None:
        yield "has failed with all stages done"
        return
    yield from _failure(ledger, run, failed, attempts(status, failed))


def _failure(ledger: Ledger, run: RunLife, stage: Stage, entry: Body) -> Iterator[str]:
    kind, number = entry.get("lastOutcome", ""), entry.get("ended", 0)
    pods = ledger.ends_of(run, stage).get(number, [])
    count = (entry.get("failures") or {}).get(kind, 0)
    if kind not in RETRIES or count <= RETRIES[kind]:
        yield f"has failed within its budget: {json.dumps(summary(run))}"
    disturbed = any(pod.disturbed for pod in pods) or not pods
    real = {pod.outcome for pod in pods} | ({INTERRUPTED, "crash"} if disturbed else set())
    if kind not in real:
        yield f"has failed by {kind} in attempt {number} of {stage}, which ended by {sorted(real)}"
    reason = condition(run.status, RUN_SUCCEEDED).get("reason")
    if reason != entry.get("lastReason"):
        yield f"has failed with reason {reason}, and its last attempt with {entry.get('lastReason')}"
