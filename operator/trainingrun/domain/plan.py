"""What to do next for one run: observed facts and the time in, children and a status out. Pure; no memory.

The order of a run: accept (resolve, ConfigMap) -> prep -> train -> export -> finished. A stage whose condition is True
is never run again; everything else is derived from Jobs, Pods and the counters in the status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from trainingrun.api import clock, conditions
from trainingrun.api.names import (
    STAGE_PHASE,
    SUPPORTED_CONTRACTS,
    Phase,
    Stage,
    job_name,
    run_prefix,
)
from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.builders.jobs import build_job
from trainingrun.builders.resolved import build_resolved
from trainingrun.domain import attempts, results, tensorboard
from trainingrun.domain.actions import Child, Plan
from trainingrun.domain.assess import Ended, Evidence, Running, Waiting, assess, is_lost
from trainingrun.domain.draft import Draft
from trainingrun.domain.finished import plan_finished, tidy_jobs
from trainingrun.domain.observe import JobView, PodView
from trainingrun.domain.progress import show_progress, trained
from trainingrun.domain.refusal import NotAcceptedError
from trainingrun.domain.resolve import FindRun, Resolved, resolve
from trainingrun.domain.verdicts import POLICIES, Outcome, Verdict

WAIT_FOR_OTHER_SECONDS: Final = 10
TICK_SECONDS: Final = 3


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything known about one run besides the object itself.

    `pods` are of the run's own Jobs and are believed. `lingering` are all that carry its labels, whoever owns them: the
    next attempt waits for their end, and nothing else is made of them.
    """

    find_run: FindRun
    jobs: tuple[JobView, ...] = ()
    pods: tuple[PodView, ...] = ()
    lingering: tuple[PodView, ...] = ()
    progress: Mapping[str, Any] = field(default_factory=dict)
    hints: Mapping[str, str] = field(default_factory=dict)
    resolved: Resolved | None = None


def plan(run: Run, observed: Observed, *, settings: Settings, now: datetime) -> Plan:
    """Decide; never raises for anything a user can write."""
    plan_ = Plan(draft=Draft(run, now))
    _go_on(plan_, observed, settings=settings)
    tidy_jobs(plan_, jobs=observed.jobs, settings=settings)
    return plan_


def _go_on(plan_: Plan, observed: Observed, *, settings: Settings) -> None:
    if plan_.draft.is_true(conditions.FINISHED) and not plan_finished(plan_):
        tensorboard.keep(plan_, resolved=observed.resolved, settings=settings)
        return
    resolved = _accepted(plan_, observed, settings=settings)
    if resolved is None:
        return
    worker = _Stages(plan_, observed, resolved=resolved, settings=settings)
    if all(worker.advance(stage) for stage in Stage):
        plan_.draft.succeed()
        plan_finished(plan_)
    tensorboard.keep(plan_, resolved=resolved, settings=settings)


def _accepted(plan_: Plan, observed: Observed, *, settings: Settings) -> Resolved | None:
    draft = plan_.draft
    run = draft.run
    try:
        resolved = observed.resolved or resolve(run, settings=settings, find_run=observed.find_run)
    except NotAcceptedError as refusal:
        _refuse(plan_, refusal)
        return None
    if resolved.get("contractVersion") not in SUPPORTED_CONTRACTS:
        message = (
            f"The run was accepted with contract {resolved.get('contractVersion')}; this operator knows "
            f"{', '.join(map(str, SUPPORTED_CONTRACTS))}. Install a matching operator; the run is left as it is."
        )
        draft.condition(conditions.ACCEPTED, False, reason="UnsupportedContract", message=message)
        draft.status["message"] = message
        return None
    if not observed.resolved:
        plan_.create.append(build_resolved(run, resolved=resolved))
    storage = resolved["storage"]
    prefix = run_prefix(run.namespace, name=run.name, uid=run.uid, storage_prefix=storage["prefix"])
    draft.status["storageURI"] = f"s3://{storage['bucket']}/{prefix}/"
    draft.status["retry"] = int(run.spec.get("retry", 0))
    if draft.condition(conditions.ACCEPTED, True, reason="Accepted", message="The spec is valid and resolved."):
        draft.note("Accepted", f"Results go to {draft.status['storageURI']}")
    draft.condition(conditions.SUCCEEDED, None, reason="Running", message="The run has not ended.")
    draft.condition(conditions.FINISHED, False, reason="Running", message="The run has not ended.")
    return resolved


def _refuse(plan_: Plan, refusal: NotAcceptedError) -> None:
    draft = plan_.draft
    if draft.condition(conditions.ACCEPTED, False, reason=refusal.reason, message=refusal.message):
        draft.note(refusal.reason, refusal.message, warning=not refusal.waits)
    if refusal.waits:
        draft.condition(conditions.FINISHED, False, reason="Waiting", message=refusal.message)
        draft.say(Phase.PENDING, message=refusal.message, text=f"waiting ({refusal.reason})", updated=draft.now_text)
        plan_.again(WAIT_FOR_OTHER_SECONDS)
    else:
        draft.status["retry"] = int(draft.run.spec.get("retry", 0))
        draft.fail(reason=refusal.reason, message=refusal.message)


class _Stages:
    """Walks the stages of an accepted run; each `advance` returns True when its stage is done."""

    def __init__(self, plan_: Plan, observed: Observed, *, resolved: Resolved, settings: Settings) -> None:
        self.plan, self.draft, self.observed = plan_, plan_.draft, observed
        self.resolved, self.settings = resolved, settings
        self.suspended = bool(plan_.draft.run.spec.get("suspend"))

    def advance(self, stage: Stage) -> bool:
        """Move one stage on by as much as the facts allow."""
        if self.draft.stage_done(stage):
            return True
        jobs = {job.attempt: job for job in self.observed.jobs if job.stage is stage}
        entry = self.draft.entry("attempts", stage)
        started = max(entry.get("number", 0), *jobs, 0) if jobs else entry.get("number", 0)
        if started > entry.get("number", 0):  # created, but its status patch was lost
            attempts.begin(self.draft, stage, number=started)
        if entry.get("ended", 0) < started and not self._look(stage, job=jobs.get(started), number=started):
            return self.draft.stage_done(stage)
        self._start_next(stage, number=started + 1)
        return False

    def _look(self, stage: Stage, *, job: JobView | None, number: int) -> bool:
        """Look at the attempt in flight; return True when another one is to be started."""
        pod = self._pod(stage, number)
        progress = self.observed.progress if pod and self.observed.progress.get("podUID") == pod.uid else {}
        evidence = Evidence(job, pod, progress=progress, hints=self.observed.hints)
        state = assess(evidence, now=self.draft.now, lost_after=self.settings.lost_pod_seconds)
        if isinstance(state, Ended):
            return self._ended(stage, state, job=job, pod=pod)
        if self.suspended:
            return self._suspend(stage, job=job, number=number)
        if isinstance(state, Waiting):
            self._waiting(stage, state, job=job)
        else:
            self._running(stage, state, progress=progress)
        return False

    def _pod(self, stage: Stage, number: int) -> PodView | None:
        pods = [p for p in self.observed.pods if p.stage is stage and p.attempt == number]
        return max(pods, key=lambda p: (not p.gone, p.created), default=None)

    def _ended(self, stage: Stage, state: Ended, *, job: JobView | None, pod: PodView | None) -> bool:
        verdict = state.verdict
        again = attempts.count(self.draft, stage, verdict)
        results.time_spent(self.draft, stage, job=job, pod=pod, verdict=verdict)
        if verdict.outcome is Outcome.SUCCEEDED:
            results.complete(self.draft, stage, verdict)
            return False
        results.record(self.draft, stage, verdict)
        if state.give_up and job is not None:
            self.plan.delete.append(Child("Job", job.name, job.uid))
        if again is None:
            self._give_in(stage, verdict)
            return False
        number = self.draft.entry("attempts", stage)["ended"]
        self.draft.note(verdict.reason, f"Attempt {number} of {stage} ended: {verdict.message}", warning=True)
        return True

    def _suspend(self, stage: Stage, *, job: JobView | None, number: int) -> bool:
        """End the attempt without counting it as a failure; its pod ships the newest checkpoint in its grace period."""
        if job is not None and not job.deleting:
            self.plan.delete.append(Child("Job", job.name, job.uid))
        self.draft.entry("attempts", stage)["ended"] = number
        kept = " after saving a checkpoint" if stage is Stage.TRAIN else ""
        self.draft.note("Suspended", f"Attempt {number} of {stage} ends{kept}: spec.suspend is true.")
        return True

    def _give_in(self, stage: Stage, verdict: Verdict) -> None:
        self.draft.condition(conditions.STAGE_CONDITION[stage], False, reason=verdict.reason, message=verdict.message)
        hint = verdict.hint or POLICIES[verdict.outcome].hint
        self.draft.fail(reason=verdict.reason, message=verdict.message, hint=hint, phase=STAGE_PHASE[stage])

    def _waiting(self, stage: Stage, state: Waiting, *, job: JobView | None) -> None:
        cause = state.cause
        if self._start_deadline_passed(stage, job=job, message=cause.full):
            return
        phase = STAGE_PHASE[stage]
        kind = conditions.STAGE_CONDITION[stage]
        changed = self.draft.condition(kind, False, reason=cause.reason, message=cause.full)
        if changed and cause.reason not in {"PodPending", "ContainerCreating"}:
            self.draft.note(cause.reason, cause.full, warning=True)
        text = f"{phase}: waiting ({cause.reason})"
        self.draft.say(phase, message=cause.full, text=text, stage=str(stage), updated=self.draft.now_text)
        if cause.subject_uid:
            self.plan.look_up.append(cause.subject_uid)
        self.plan.again(TICK_SECONDS)

    def _start_deadline_passed(self, stage: Stage, *, job: JobView | None, message: str) -> bool:
        limit = self.draft.run.spec.get("startDeadlineSeconds")
        waited = clock.seconds_between(job.created if job else None, self.draft.now_text) or 0
        if limit is None or job is None or waited < limit:
            return False
        verdict = Verdict(
            Outcome.USER_ERROR,
            "StartDeadlineExceeded",
            f"The pod of {job.name} did not start within spec.startDeadlineSeconds ({limit} s): {message}",
        )
        attempts.count(self.draft, stage, verdict)
        self.plan.delete.append(Child("Job", job.name, job.uid))
        self._give_in(stage, verdict)
        return True

    def _running(self, stage: Stage, state: Running, *, progress: Mapping[str, Any]) -> None:
        show_progress(self.draft, stage, progress=progress)
        message = "The attempt is ending." if state.ending else "The attempt is running."
        self.draft.condition(conditions.STAGE_CONDITION[stage], False, reason="Running", message=message)
        self.plan.watch = state.pod
        if state.look_again:
            self.plan.again(state.look_again)

    def _start_next(self, stage: Stage, *, number: int) -> None:
        phase = STAGE_PHASE[stage]
        if self.suspended:
            self._rest(stage)
            return
        entry = self.draft.entry("attempts", stage)
        wait = clock.parse(entry.get("nextRetryAt"))
        alive = [p for p in self.observed.lingering if p.stage is stage and self._alive(p)]
        if wait is not None and wait > self.draft.now:
            seconds = (wait - self.draft.now).total_seconds()
            message = f"Attempt {number} of {stage} starts at {entry['nextRetryAt']} after: {entry['lastMessage']}"
            text = f"{phase}: attempt {number} soon, after {entry['lastReason']}"
            self.draft.say(phase, message=message, text=text, stage=str(stage), updated=self.draft.now_text)
            self.plan.again(seconds)
        elif alive:
            message = f"Attempt {number} of {stage} waits until pod {alive[0].name} has ended."
            self.draft.say(phase, message=message, stage=str(stage), updated=self.draft.now_text)
            self.plan.again(TICK_SECONDS)
        else:
            self._create(stage, number=number)

    def _rest(self, stage: Stage) -> None:
        phase = STAGE_PHASE[stage]
        message = f"Suspended in {stage}; set spec.suspend to false to go on from what is in the bucket."
        self.draft.condition(conditions.STAGE_CONDITION[stage], False, reason="Suspended", message=message)
        reached = trained(self.draft.status.get("training", {})) if stage is Stage.TRAIN else ""
        self.draft.say(Phase.SUSPENDED, message=message, text=f"{phase}{reached}", updated=self.draft.now_text)

    def _create(self, stage: Stage, *, number: int) -> None:
        phase = STAGE_PHASE[stage]
        run = self.draft.run
        attempts.begin(self.draft, stage, number=number)
        self.plan.create.append(
            build_job(run, stage=stage, attempt=number, resolved=self.resolved, settings=self.settings)
        )
        kind = conditions.STAGE_CONDITION[stage]
        self.draft.condition(kind, False, reason="AttemptStarted", message=f"Attempt {number} was started.")
        self.draft.note("AttemptStarted", f"Created Job {job_name(run.name, stage=stage, attempt=number)}.")
        text = f"{phase}: attempt {number} starting" if number > 1 else f"{phase}: starting"
        self.draft.say(phase, message=text, stage=str(stage), updated=self.draft.now_text)

    def _alive(self, pod: PodView) -> bool:
        lost = is_lost(pod, now=self.draft.now, after=self.settings.lost_pod_seconds)
        return not (pod.gone or pod.ended or lost)
