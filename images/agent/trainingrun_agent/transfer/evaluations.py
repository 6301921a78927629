"""Evaluations of a run's checkpoints: those of this attempt, and those that earlier attempts left in the bucket.

Invariant: documents are not trusted: what does not fit images/contracts/shared-evaluations.schema.json is left out, and
no document makes a reader fail. An evaluation is of the newest checkpoint of its step that its attempt could have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trainingrun_agent import bounded_json, contract
from trainingrun_agent.errors import UNUSABLE
from trainingrun_agent.keys import Attempt, RunKeys
from trainingrun_agent.log import logger
from trainingrun_agent.shared import names
from trainingrun_agent.shared.class_scores import score
from trainingrun_agent.shared.folder import Folder, UnsafeFileError
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.training_settings import Metric
from trainingrun_agent.transfer.attempts import training_attempts
from trainingrun_agent.transfer.resume import StoredCheckpoint

MAX_BYTES: Final = 4 << 20
MAX_EVALUATIONS: Final = 20_000
MAX_STEP: Final = 9007199254740992


@dataclass(frozen=True)
class Evaluation:
    """The scores of the checkpoint of `step`, as the attempt `epoch` measured them."""

    step: int
    mean_ap: float
    ap50: float
    epoch: int

    def score(self, metric: Metric) -> float:
        """The score by which checkpoints are compared."""
        return self.mean_ap if metric == "mAP" else self.ap50

    def to_json(self) -> dict[str, Any]:
        """As in the contracts, for example `best` of a verdict."""
        return {"step": self.step, "mAP": self.mean_ap, "ap50": self.ap50}


def parse(document: Mapping[str, Any], *, epoch: int) -> list[Evaluation]:
    """The evaluations of an evaluations.json, oldest first, without entries that do not fit the contract."""
    entries = document.get("evaluations")
    if document.get("contractVersion") not in contract.READABLE_VERSIONS or not isinstance(entries, list):
        return []
    return [found for entry in entries[:MAX_EVALUATIONS] if (found := _entry(entry, epoch)) is not None]


def own_evaluations(folder: Folder, *, epoch: int) -> list[Evaluation]:
    """The evaluations that the trainer of this attempt has written to the shared folder."""
    try:
        return parse(bounded_json.document(folder.read(names.EVALUATIONS, max_bytes=MAX_BYTES)), epoch=epoch)
    except (FileNotFoundError, UnsafeFileError, OSError, ValueError):
        return []


def stored_evaluations(store: ObjectStore, run: RunKeys, *, before_epoch: int) -> list[Evaluation]:
    """The evaluations of all attempts of earlier epochs, oldest first; two requests for each attempt."""
    attempts = training_attempts(store, run, before_epoch=before_epoch)
    return [evaluation for attempt in attempts for evaluation in of_attempt(store, attempt)]


def of_attempt(store: ObjectStore, attempt: Attempt) -> list[Evaluation]:
    """The evaluations of one attempt; none if it has no such document, or one that cannot be read."""
    try:
        data = store.get(attempt.evaluations, max_bytes=MAX_BYTES)
        return parse(bounded_json.document(data), epoch=attempt.epoch)
    except UNUSABLE:
        return []
    except ValueError as error:
        logger.warning("s3://%s/%s is ignored: %s", store.bucket, attempt.evaluations, error)
        return []


def best_of(evaluations: Iterable[Evaluation], metric: Metric) -> Evaluation | None:
    """The evaluation with the highest score, the first of equal ones; None without any."""
    return max(evaluations, key=lambda evaluation: evaluation.score(metric), default=None)


def by_checkpoint(
    checkpoints: Iterable[StoredCheckpoint], evaluations: Iterable[Evaluation]
) -> dict[StoredCheckpoint, Evaluation]:
    """The last evaluation of each checkpoint that has one.

    An attempt evaluates a checkpoint of its own, or the one that it resumed from, which is of an earlier epoch; a later
    attempt may have trained to the same step again.
    """
    of_step: dict[int, list[StoredCheckpoint]] = {}
    for checkpoint in sorted(checkpoints, key=lambda checkpoint: checkpoint.epoch):
        of_step.setdefault(checkpoint.step, []).append(checkpoint)
    found: dict[StoredCheckpoint, Evaluation] = {}
    for evaluation in sorted(evaluations, key=lambda evaluation: evaluation.epoch):
        candidates = [one for one in of_step.get(evaluation.step, ()) if one.epoch <= evaluation.epoch]
        if candidates:
            found[candidates[-1]] = evaluation
    return found


def _entry(entry: Any, epoch: int) -> Evaluation | None:
    if not isinstance(entry, dict):
        return None
    step, mean_ap, ap50 = entry.get("step"), score(entry.get("mAP")), score(entry.get("ap50"))
    if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step <= MAX_STEP:
        return None
    return None if mean_ap is None or ap50 is None else Evaluation(step, mean_ap, ap50, epoch)
