"""Uploads checkpoints, evaluations, event files and the last step of a running training, in two threads.

It also deletes the checkpoints that are not kept.

Invariant: a failure of either thread is raised by the next `turn`, or when it is waited for. Evaluations that were made
on the way to a checkpoint are in the bucket before its manifest: the next attempt may go on from there. Once training
has ended, or the pod is to end, event files wait until the last checkpoint and all evaluations are in the bucket.
"""

from __future__ import annotations

from trainingrun_agent.context import StageContext
from trainingrun_agent.keys import Attempt
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.transfer.keep_checkpoints import CheckpointKeeper
from trainingrun_agent.transfer.last_step import LastStep
from trainingrun_agent.transfer.periodic_thread import PeriodicThread
from trainingrun_agent.transfer.resume import StoredCheckpoint
from trainingrun_agent.transfer.ship_checkpoints import CheckpointShipper
from trainingrun_agent.transfer.ship_evaluations import EvaluationShipper
from trainingrun_agent.transfer.ship_events import EventShipper
from trainingrun_agent.transfer.upload_queue import UploadQueue

CHECKPOINT_SECONDS = 5.0
EVENT_SECONDS = 3.0


class TrainingShipper:
    """`newest` is the newest checkpoint in the bucket, at first the one that training resumed from."""

    def __init__(
        self,
        context: StageContext,
        attempt: Attempt,
        folder: Folder,
        *,
        newest: StoredCheckpoint | None,
    ) -> None:
        store, self._progress, self._stop = context.out, context.progress, context.stop
        # Its own handle, because a thread that hangs may outlive the stage.
        self._folder = folder.walk()
        self._keeper = CheckpointKeeper(context, attempt, self._folder)
        self._evaluations = EvaluationShipper(store, attempt, self._folder)
        self._checkpoints = CheckpointShipper(
            context,
            attempt,
            self._folder,
            newest=newest,
            on_shipped=self._shipped,
            before_manifest=self._evaluations.ship,
            queue=UploadQueue(protected=self._keeper.protected, hurry=self._stop.is_set),
        )
        self._events = EventShipper(store, attempt, self._folder, merges=lambda: not self._stop.is_set())
        resumed_from = newest.step if newest else 0
        self._last_step = LastStep(store, attempt, context.clock, resumed_from=resumed_from)
        self._closing = False
        self._checkpoint_thread = PeriodicThread(
            "ship-checkpoints", self._checkpoints.ship, interval=CHECKPOINT_SECONDS, last=self._evaluations.ship
        )
        self._event_thread = PeriodicThread(
            "ship-events", self._ship_events, interval=EVENT_SECONDS, last=self._finish_events
        )
        if newest is not None:
            self._progress.update(checkpointStep=newest.step)

    @property
    def newest(self) -> StoredCheckpoint | None:
        """The newest complete checkpoint in the bucket."""
        return self._checkpoints.newest

    @property
    def kept(self) -> list[int] | None:
        """Steps of the checkpoints in the bucket, newest first; None until they are known."""
        return self._keeper.kept()

    def start(self) -> None:
        """Start the uploads."""
        self._checkpoint_thread.start()
        self._event_thread.start()

    def turn(self, step: int | None, training_seconds: float | None) -> None:
        """Collect checkpoints that became ready; `step` is where training is. Raises what ended a thread."""
        if step is not None:
            self._last_step.reached(step, training_seconds)
        if self._checkpoints.collect():
            self._checkpoint_thread.wake()
        self._checkpoint_thread.check()
        self._event_thread.check()

    def close(self) -> None:
        """Ask for the upload of the rest."""
        self._closing = True
        self._checkpoint_thread.close()
        self._event_thread.close()

    def checkpoint_shipped(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds after `close`; True when the last checkpoint is in the bucket."""
        return self._checkpoint_thread.join(timeout)

    def events_shipped(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds after `close`; True when everything else is in the bucket too."""
        over = self._event_thread.join(timeout)
        if over:
            self._folder.close()
        return over

    def _shipped(self, checkpoint: StoredCheckpoint) -> None:
        self._progress.update(checkpointStep=self._checkpoints.newest and self._checkpoints.newest.step)
        self._keeper.shipped(checkpoint)

    def _ship_events(self) -> None:
        if not self._closing and not self._stop.is_set():
            self._evaluations.ship()
            self._events.ship()
            self._last_step.write()
            self._keeper.turn()

    def _finish_events(self) -> None:
        self._last_step.write(at_once=True)
        self._checkpoint_thread.wait_for_end()
        self._events.ship()
        self._events.compact()
        self._keeper.last_turn()
