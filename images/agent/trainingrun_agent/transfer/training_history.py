"""What earlier attempts of a run measured on the way to the checkpoint that this attempt resumes from.

Invariant: an evaluation counts only if training goes on from it. What an attempt evaluated after the checkpoint that
the next one resumed from is lost with its steps. The best one has a checkpoint in the bucket.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trainingrun_agent.keys import RunKeys
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.training_settings import Metric, Train
from trainingrun_agent.transfer.attempts import training_attempts
from trainingrun_agent.transfer.evaluations import Evaluation, best_of, by_checkpoint, of_attempt, own_evaluations
from trainingrun_agent.transfer.last_step import LastRecord, read_last
from trainingrun_agent.transfer.resume import StoredCheckpoint


@dataclass(frozen=True)
class Improvements:
    """The score of the last improvement, None without any, and how many evaluations came after it."""

    reference: float | None = None
    since: int = 0


@dataclass(frozen=True)
class TrainingHistory:
    """`reached` is the highest step that an attempt is known to have reached.

    `resumed` is the evaluation of the checkpoint that this attempt resumes from. `training_seconds` is the sum over all
    attempts.
    """

    reached: int = 0
    training_seconds: float = 0.0
    best: Evaluation | None = None
    resumed: Evaluation | None = None
    improvements: Improvements = Improvements()


def read_history(
    store: ObjectStore,
    run: RunKeys,
    *,
    before_epoch: int,
    checkpoints: Iterable[StoredCheckpoint],
    resumed_from: int,
    train: Train,
) -> TrainingHistory:
    """Read what the attempts of earlier epochs left; `checkpoints` are those in the bucket. Two requests an attempt."""
    attempts = [
        (read_last(store, attempt), of_attempt(store, attempt))
        for attempt in training_attempts(store, run, before_epoch=before_epoch)
    ]
    counted = lineage(attempts, resumed_from=resumed_from)
    min_delta = train.early_stopping.min_delta if train.early_stopping else 0.0
    return TrainingHistory(
        reached=max((last.step for last, _ in attempts), default=0),
        training_seconds=sum(last.training_seconds for last, _ in attempts),
        best=best_of(by_checkpoint(checkpoints, counted).values(), train.metric),
        resumed=next((one for one in counted if one.step == resumed_from), None),
        improvements=improvements(counted, train.metric, min_delta=min_delta),
    )


def lineage(attempts: Iterable[tuple[LastRecord, Sequence[Evaluation]]], *, resumed_from: int) -> list[Evaluation]:
    """The evaluations on the way to the checkpoint of `resumed_from`, by step; the last one of each step."""
    found: dict[int, Evaluation] = {}
    for last, evaluations in attempts:
        if last.resumed_from is not None:
            found = {step: one for step, one in found.items() if step <= last.resumed_from}
        found.update((one.step, one) for one in evaluations)
    return [found[step] for step in sorted(found) if step <= resumed_from]


def improvements(evaluations: Iterable[Evaluation], metric: Metric, *, min_delta: float) -> Improvements:
    """Count as the trainer does: an improvement exceeds the one before it by more than `min_delta`."""
    reference, since = None, 0
    for evaluation in evaluations:
        score = evaluation.score(metric)
        if reference is None or score > reference + min_delta:
            reference, since = score, 0
        else:
            since += 1
    return Improvements(reference, since)


@dataclass(frozen=True)
class BestSoFar:
    """The best evaluation over all attempts, from what earlier ones left and the trainer of this one has written."""

    folder: Folder
    epoch: int
    history: TrainingHistory
    metric: Metric

    def evaluation(self) -> Evaluation | None:
        """The best one now, the first of equal ones; None before the first."""
        earlier = [self.history.best] if self.history.best else []
        return best_of([*earlier, *own_evaluations(self.folder, epoch=self.epoch)], self.metric)
