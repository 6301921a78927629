"""Finished stages that have to run again, because a later stage did not find their results in the bucket.

Invariant: a stage whose condition is True runs again only for a reason in `_LOST`. The data set does so by itself,
`REBUILDS` times until the newest checkpoint has advanced; everything else waits for the user, who raises `spec.retry`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from trainingrun.api import conditions, reasons
from trainingrun.api.names import Stage
from trainingrun.domain.draft import Draft
from trainingrun.domain.texts import sentences
from trainingrun.domain.verdicts import Verdict

REBUILDS: Final = 2
_DATASET_LOST: Final = "DatasetLost"
# Reasons of agents, and which stages before theirs then check whether their results can still be used.
_LOST: Final[Mapping[str, tuple[Stage, ...]]] = {
    _DATASET_LOST: (Stage.PREP,),
    "ResultMissing": (Stage.PREP, Stage.TRAIN),
    "CheckpointMissing": (Stage.TRAIN,),
    # Agents of older releases gave these for a lost data set too.
    "ObjectNotFound": (Stage.PREP,),
    "IntegrityError": (Stage.PREP,),
}


def is_dataset_lost(verdict: Verdict) -> bool:
    """Return whether the attempt ended because the data set is lost: then the storage itself is fine."""
    return verdict.reason.name == _DATASET_LOST


def rebuild_dataset(draft: Draft, stage: Stage, verdict: Verdict) -> bool:
    """Let the data set be prepared again if an attempt, which is counted, found it lost; return whether it will be."""
    failures = draft.attempts(stage).get("failures", {}).get(verdict.outcome.value, 0)
    if not is_dataset_lost(verdict) or stage is Stage.PREP or failures > REBUILDS:
        return False
    _run_again(draft, [Stage.PREP])
    number = draft.attempts(stage)["ended"]
    message = sentences(f"Attempt {number} of {stage} ended: {verdict.message}", "The data set is prepared again.")
    draft.add_event(verdict.reason, message, warning=True)
    return True


def reopen_lost(draft: Draft) -> None:
    """Let the stages run again whose results the stage that failed last did not find."""
    for entry in draft.status.get("attempts", []):
        stage = Stage(entry["stage"])
        if not draft.stage_done(stage):
            _run_again(draft, [lost for lost in _LOST.get(entry.get("lastReason", ""), ()) if _is_before(lost, stage)])


def _run_again(draft: Draft, stages: Iterable[Stage]) -> None:
    for stage in stages:
        if draft.stage_done(stage):
            message = f"A later stage found the results of {stage} lost or damaged; {stage} runs again."
            draft.set_condition(conditions.STAGE_CONDITION[stage], False, reason=reasons.RESULTS_LOST, message=message)


def _is_before(stage: Stage, other: Stage) -> bool:
    order = list(Stage)
    return order.index(stage) < order.index(other)
