"""Decides which checkpoints of a run stay in the bucket (spec.train.keepCheckpoints).

Invariant: pure. A checkpoint that is not certainly superfluous stays: the newest one always does, and so does one whose
age is not known where the age decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from trainingrun_agent.training_settings import Checkpoint, KeepCheckpoints, Metric
from trainingrun_agent.transfer.evaluations import Evaluation
from trainingrun_agent.transfer.resume import StoredCheckpoint

_FIRST_HOUR = datetime(2000, 1, 1, tzinfo=UTC)


def newest_first(checkpoints: Collection[StoredCheckpoint]) -> list[StoredCheckpoint]:
    """Those of later attempts first, because an attempt may train again what an earlier one had trained."""
    return sorted(checkpoints, key=lambda checkpoint: (checkpoint.epoch, checkpoint.step), reverse=True)


def superfluous(
    checkpoints: Collection[StoredCheckpoint],
    rule: KeepCheckpoints,
    *,
    evaluations: Mapping[StoredCheckpoint, Evaluation],
    metric: Metric,
    export: Checkpoint,
    created: Mapping[StoredCheckpoint, datetime],
    needed: Collection[str],
) -> list[StoredCheckpoint]:
    """Checkpoints to delete, oldest first. `export` is spec.export.checkpoint, `needed` are folders that stay.

    `created` is only looked at if the rule has `everyHours`.
    """
    order = newest_first(checkpoints)
    stay = set(order[: max(1, rule.last)])
    stay.update(_best(evaluations, metric)[: max(rule.best, 1 if export == "best" else 0)])
    stay.update(one for one in order if one.step == export or one.folder in needed)
    if rule.every_hours is not None:
        stay.update(_one_each(order, created, timedelta(hours=rule.every_hours)))
    # An evaluation names its step: without the newer checkpoint of a step, it would be taken for one of the older.
    oldest = {one.step: one.epoch for one in order if one in stay}
    return [one for one in reversed(order) if one not in stay and one.epoch < oldest.get(one.step, one.epoch + 1)]


def _best(evaluations: Mapping[StoredCheckpoint, Evaluation], metric: Metric) -> list[StoredCheckpoint]:
    """Best first; of equal ones the earlier step, as in the trainer, and its newest, as in the export."""
    return sorted(evaluations, key=lambda one: (-evaluations[one].score(metric), one.step, -one.epoch))


def _one_each(
    order: Sequence[StoredCheckpoint], created: Mapping[StoredCheckpoint, datetime], period: timedelta
) -> Iterator[StoredCheckpoint]:
    """The newest checkpoint of each period; periods are counted from a fixed hour, so that deletions move none."""
    seen = set()
    for checkpoint in order:
        when = created.get(checkpoint)
        number = None if when is None else (when - _FIRST_HOUR) // period
        if number is None or number not in seen:
            yield checkpoint
        seen.add(number)
