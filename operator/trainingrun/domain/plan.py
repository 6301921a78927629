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
from trainingrun.domain import changes_of_attempt, deadline, finish, history
from trainingrun.domain.acceptance import accept, document_of_finished
from trainingrun.domain.current_attempt import follow_attempt
from trainingrun.domain.decision import Decision
from trainingrun.domain.draft import Draft
from trainingrun.domain.ended_jobs import delete_ended_jobs
from trainingrun.domain.finished import expire, refuse_retry, reopen_if_retried
from trainingrun.domain.jobs import believed_job
from trainingrun.domain.next_attempt import begin_attempt, start_attempt
from trainingrun.domain.observe import Observed
from trainingrun.domain.stage import StageContext
from trainingrun.domain.suspension import take_verdict
from trainingrun.domain.tensorboard import plan_tensorboard
from trainingrun.domain.training_start import announce_start


def plan(run: Run, observed: Observed, *, settings: Settings, now: datetime) -> Decision:
    """Decide what to do for a run now; never raises for anything that a user can write."""
    decision = Decision(draft=Draft(run, now))
    _plan_run(decision, observed, settings=settings)
    delete_ended_jobs(decision, observed, settings=settings)
    history.fit(decision.draft.status)
    if decision.starts_pods and observed.document is not None and not observed.document.fresh:
        decision.read_document = True  # it may have been deleted or replaced since
    return decision


def _plan_run(decision: Decision, observed: Observed, *, settings: Settings) -> None:
    """Take the run through its life: accept, prep, train, export, finished."""
    draft = decision.draft
    if draft.is_true(conditions.FINISHED) and not reopen_if_retried(draft):
        if draft.is_true(conditions.SUCCEEDED):
            refuse_retry(draft)
        expire(decision)
        resolved = document_of_finished(decision, observed, settings=settings)
        finish.answer(draft, resolved)
        plan_tensorboard(decision, observed, resolved=resolved, settings=settings)
        return

    resolved = accept(decision, observed, settings=settings)
    if resolved is None and not decision.starts_nothing:
        return  # the status says why, and whether the run waits or has failed
    deadline.keep_time(decision)

    stages = (
        StageContext(stage, decision, observed, resolved or {}, settings)
        for stage in (Stage.PREP, Stage.TRAIN, Stage.EXPORT)
    )
    if all(_advance(stage) for stage in stages):
        draft.succeed()
        expire(decision)
    if resolved is not None and not draft.is_true(conditions.FINISHED):
        refuse_retry(draft)
    announce_start(draft)
    finish.answer(draft, resolved)
    plan_tensorboard(decision, observed, resolved=resolved, settings=settings)


def _advance(context: StageContext) -> bool:
    """Advance one stage as far as the facts allow; return whether it is done."""
    if context.done:
        return True
    number = context.attempts.get("number", 0)
    if context.decision.starts_nothing and "jobUID" not in context.attempts:
        return False
    if number > context.attempts.get("ended", 0):
        job = believed_job(context, number)
        if job is not None:
            context.draft.record_job(context.stage, job.uid)
        if context.undecided or not follow_attempt(context, number, job=job):
            return context.done
    take_verdict(context)
    if context.decision.starts_nothing or context.done:
        return context.done
    job = believed_job(context, number + 1)
    if job is not None:  # it was created, but the status patch was lost
        begin_attempt(context, number + 1, changes=changes_of_attempt.of_believed(context, job))
        context.draft.record_job(context.stage, job.uid)
        follow_attempt(context, number + 1, job=job)
    elif not context.undecided:
        start_attempt(context, number + 1)
    return context.done
