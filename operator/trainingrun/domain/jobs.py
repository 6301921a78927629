"""Which Job is an attempt of a run. Names, labels and owner references can be written by others, so they prove nothing.

A Job is believed when its UID is in the status, written there with the answer to its creation. One that was created
just before a status patch was lost, or by a version that kept no UIDs, is believed if its pod would be the operator's.
"""

from __future__ import annotations

from trainingrun.builders.jobs import build_job
from trainingrun.domain import changes_of_attempt
from trainingrun.domain.likeness import unlike_spec
from trainingrun.domain.observe import JobView
from trainingrun.domain.stage import StageContext


def believed_job(context: StageContext, number: int) -> JobView | None:
    """Return the Job of attempt `number`; None if there is none, or if `decision.read_jobs` has to be read first."""
    claims = [job for job in context.observed.jobs if job.stage is context.stage and job.attempt == number]
    recorded = context.attempts.get("jobUID")
    known = next((job for job in claims if job.uid == recorded), None)
    if known is not None or context.decision.starts_nothing:
        return known
    return next((job for job in claims if _is_ours(context, job)), None)


def _is_ours(context: StageContext, job: JobView) -> bool:
    spec = context.observed.specs.get(job.uid)
    if spec is None:
        context.decision.read_jobs.append(job)
        return False
    changes = changes_of_attempt.of_job(context, spec)
    if changes is None:
        return False
    wanted = build_job(
        context.draft.run,
        stage=job.stage,
        attempt=job.attempt,
        resolved=context.resolved,
        digest=context.digest,
        settings=context.settings,
        changes=changes,
    )
    return not unlike_spec(spec, wanted["spec"])
