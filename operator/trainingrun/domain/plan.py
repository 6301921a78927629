"""What to do next for one run: facts and the time in, children and a status out. Pure; remembers nothing.

The order of a run: accept (resolve, ConfigMap) -> prep -> train -> export -> finished. A stage whose condition is True
is never run again; everything else is derived from Jobs, Pods and the counters in the status.
"""

from __future__ import annotations

from datetime import datetime

from trainingrun.api import conditions
from trainingrun.api.names import Stage
from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.domain import attempts
from trainingrun.domain.acceptance import accept
from trainingrun.domain.current_attempt import follow_attempt
from trainingrun.domain.decision import Decision
from trainingrun.domain.draft import Draft
from trainingrun.domain.ended_jobs import delete_ended_jobs
from trainingrun.domain.finished import expire, reopen_if_retried
from trainingrun.domain.next_attempt import start_attempt
from trainingrun.domain.observe import Observed
from trainingrun.domain.stage import StageContext
from trainingrun.domain.tensorboard import plan_tensorboard


def plan(run: Run, observed: Observed, *, settings: Settings, now: datetime) -> Decision:
    """Decide what to do for a run now; never raises for anything that a user can write."""
    decision = Decision(draft=Draft(run, now))
    _plan_run(decision, observed, settings=settings)
    delete_ended_jobs(decision, observed, settings=settings)
    return decision


def _plan_run(decision: Decision, observed: Observed, *, settings: Settings) -> None:
    """Take the run through its life: accept, prep, train, export, finished."""
    draft = decision.draft
    if draft.is_true(conditions.FINISHED) and not reopen_if_retried(draft):
        expire(decision)
        plan_tensorboard(decision, crowd=observed.crowd, resolved=observed.resolved, settings=settings)
        return

    resolved = accept(decision, observed, settings=settings)
    if resolved is None:
        return  # the status says why, and whether the run waits or has failed

    stages = (
        StageContext(stage, decision, observed, resolved, settings) for stage in (Stage.PREP, Stage.TRAIN, Stage.EXPORT)
    )
    if all(_advance(stage) for stage in stages):
        draft.succeed()
        expire(decision)
    plan_tensorboard(decision, crowd=observed.crowd, resolved=resolved, settings=settings)


def _advance(context: StageContext) -> bool:
    """Advance one stage as far as the facts allow; return whether it is done."""
    if context.done:
        return True
    jobs = {job.attempt: job for job in context.observed.jobs if job.stage is context.stage}
    recorded = context.attempts.get("number", 0)
    number = max([recorded, *jobs])
    if number > recorded:  # its Job was created, but the status patch was lost
        attempts.begin(context.draft, context.stage, number=number)
    in_flight = number > context.attempts.get("ended", 0)
    if in_flight and not follow_attempt(context, number, job=jobs.get(number)):
        return context.done
    start_attempt(context, number + 1)
    return False
