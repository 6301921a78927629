"""Deletes checkpoints that spec.train.keepCheckpoints does not keep, and knows which are left.

Invariant: a manifest is deleted before the files that it names, so that readers see a checkpoint whole or not at all; a
later pass deletes the files that an interruption left. Only the pod of the newest epoch deletes, after it uploaded a
newer checkpoint or when training has ended, and never once the pod is to end: then the grace period is for uploads. A
refusal stops the deletions, not the training.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from trainingrun_agent.context import StageContext
from trainingrun_agent.contract import Stage
from trainingrun_agent.errors import UNUSABLE, StageError, StorageRefused
from trainingrun_agent.keys import Attempt, folder_of, is_manifest, manifest_of
from trainingrun_agent.log import logger
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage import results
from trainingrun_agent.storage.base import ObjectInfo
from trainingrun_agent.storage.epochs import require_newest
from trainingrun_agent.transfer.attempts import training_attempts
from trainingrun_agent.transfer.evaluations import (
    Evaluation,
    best_of,
    by_checkpoint,
    of_attempt,
    own_evaluations,
)
from trainingrun_agent.transfer.resume import StoredCheckpoint
from trainingrun_agent.transfer.retention import newest_first, superfluous

LEFTOVER_AGE: Final = timedelta(minutes=10)
"""Younger files without a manifest may be an upload of a pod that does not know yet that it was replaced."""
LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
MAX_REPORTED: Final = 32
RESULTS: Final[tuple[Stage, ...]] = ("train", "export")
"""Stages whose results name checkpoints."""
NOT_DELETED: Final = "checkpoints that are not needed any more stay in the bucket: %s"


class CheckpointKeeper:
    """The checkpoints of a run while one of its attempts trains.

    `shipped` and `protected` are for the threads that upload, `turn` is for one other thread.
    """

    def __init__(self, context: StageContext, attempt: Attempt, folder: Folder) -> None:
        self._context, self._attempt, self._folder = context, attempt, folder
        self._settings = context.config.resolved.train
        self._export = context.config.resolved.export.checkpoint
        self._lock = threading.Lock()
        self._new: list[tuple[StoredCheckpoint, datetime]] = []
        self._known: dict[StoredCheckpoint, datetime | None] | None = None
        self._leftovers: dict[str, datetime] = {}  # folders without a manifest, and when they last changed
        self._needed: set[str] = set()
        self._earlier: list[Evaluation] = []
        self._refused = False

    @property
    def steps(self) -> list[int] | None:
        """Steps of the checkpoints in the bucket, newest first; None until they are known."""
        known = self._known
        return None if known is None else [checkpoint.step for checkpoint in newest_first(known)]

    def shipped(self, checkpoint: StoredCheckpoint) -> None:
        """Add a checkpoint whose manifest is now in the bucket."""
        with self._lock:
            self._new.append((checkpoint, self._context.clock.now()))

    def protected(self) -> set[int]:
        """Steps of this attempt's checkpoints that have to be uploaded, however many newer ones wait."""
        steps = {self._export} if isinstance(self._export, int) else set()
        keep = self._settings.keep_checkpoints
        if self._export == "best" or (keep is not None and keep.best > 0):
            best = best_of([*self._earlier, *self._own_evaluations()], self._settings.metric)
            if best is not None and best.epoch == self._attempt.epoch:
                steps.add(best.step)
        return steps

    def turn(self) -> None:
        """Take in what was uploaded since the last turn, and delete what is superfluous then.

        Raises Superseded once a later pod has claimed an epoch, and what storage raises.
        """
        self._turn(at_the_end=False)

    def last_turn(self) -> None:
        """A turn after training, whose failure is logged: how training ended is known."""
        try:
            self._turn(at_the_end=True)
        except StageError as error:
            logger.warning(NOT_DELETED, error)

    def kept(self) -> list[int] | None:
        """As `steps`, at most as many as the contracts allow."""
        return None if self.steps is None else self.steps[:MAX_REPORTED]

    def _turn(self, *, at_the_end: bool) -> None:
        with self._lock:
            new, self._new = self._new, []
        known = self._known
        if known is None:
            known = self._survey()
        elif not new and not at_the_end:
            return
        self._known = known = {**known, **dict(new)}
        # An attempt that only finishes a run uploads nothing, but the one before may have left one too many.
        if new or at_the_end:
            self._known = self._without_superfluous(known)
        self._context.progress.update(keptCheckpoints=self.kept())

    def _survey(self) -> dict[StoredCheckpoint, datetime | None]:
        """What earlier attempts left; they add nothing more, so that once is enough."""
        out, run = self._context.out, self._context.config.resolved.run_keys
        found: dict[StoredCheckpoint, datetime | None] = {}
        for attempt in training_attempts(out, run, before_epoch=self._attempt.epoch):
            self._earlier += of_attempt(out, attempt)
            for checkpoint in self._of_attempt(attempt):
                found[checkpoint] = self._created(checkpoint)
        self._needed = {folder for stage in RESULTS for folder in self._needed_by(stage, found)}
        return found

    def _of_attempt(self, attempt: Attempt) -> list[StoredCheckpoint]:
        objects: dict[str, list[ObjectInfo]] = {}
        for info in self._context.out.list(f"{attempt.checkpoints}/"):
            objects.setdefault(folder_of(info.key), []).append(info)
        found = []
        for folder, infos in objects.items():
            step = attempt.parse_checkpoint_manifest(manifest_of(folder))
            if step is None:
                continue
            if any(is_manifest(info.key) for info in infos):
                found.append(StoredCheckpoint(step, attempt.epoch, folder))
            else:
                self._leftovers[folder] = max(info.modified for info in infos)
        return found

    def _created(self, checkpoint: StoredCheckpoint) -> datetime | None:
        keep = self._settings.keep_checkpoints
        if keep is None or keep.every_hours is None:
            return None
        try:
            created = datetime.fromisoformat(manifests.read(self._context.out, checkpoint.manifest_key).created)
        except (*UNUSABLE, ValueError, TypeError):
            return None
        return created if created.tzinfo else None

    def _needed_by(self, stage: Stage, known: Iterable[StoredCheckpoint]) -> set[str]:
        """Folders of checkpoints that the result of a stage names."""
        resolved = self._context.config.resolved
        try:
            result = results.read_result(self._context.out, resolved.run_keys, stage)
        except UNUSABLE:
            result = None
        if result is None:
            return set()
        manifest, step = resolved.keys.absolute(str(result["manifestKey"])), result["numbers"].get("checkpointStep")
        return {one.folder for one in known if one.manifest_key == manifest or one.step == step}

    def _without_superfluous(
        self, known: dict[StoredCheckpoint, datetime | None]
    ) -> dict[StoredCheckpoint, datetime | None]:
        keep = self._settings.keep_checkpoints
        if keep is None:
            return known
        doomed = superfluous(
            known,
            keep,
            evaluations=by_checkpoint(known, [*self._earlier, *self._own_evaluations()]),
            metric=self._settings.metric,
            export=self._export,
            created={one: when for one, when in known.items() if when is not None},
            needed=self._needed,
        )
        left = dict(known)
        for checkpoint in doomed:
            if not self._delete(checkpoint.manifest_key):
                return left
            del left[checkpoint]
            self._leftovers[checkpoint.folder] = LONG_AGO
            self._delete_files(checkpoint.folder, why=f"it is not among those that {keep} keeps")
        now = self._context.clock.now()
        for folder, changed in list(self._leftovers.items()):
            if now - changed > LEFTOVER_AGE:
                self._delete_files(folder, why="it is incomplete")
        return left

    def _delete_files(self, folder: str, *, why: str) -> None:
        """Delete a folder without a manifest."""
        out = self._context.out
        if all(self._delete(info.key) for info in list(out.list(f"{folder}/"))):
            del self._leftovers[folder]
            logger.info("deleted checkpoint s3://%s/%s/: %s", out.bucket, folder, why)

    def _delete(self, key: str) -> bool:
        """Delete an object; False if nothing may be deleted, or not now."""
        out, run = self._context.out, self._context.config.resolved.run_keys
        if self._refused or self._context.stop.is_set():
            return False
        if is_manifest(key):
            require_newest(out, run, self._attempt.epoch)
        try:
            out.delete(key)
        except StorageRefused as error:
            self._refused = True
            logger.warning(NOT_DELETED, error)
        return not self._refused

    def _own_evaluations(self) -> list[Evaluation]:
        return own_evaluations(self._folder, epoch=self._attempt.epoch)
