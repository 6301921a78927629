"""Uploads checkpoints, event files and the last step of a running training, in two threads.

Invariant: a failure of either thread is raised by the next `turn` or `join`. Uploads of event files never delay those
of checkpoints.
"""

from __future__ import annotations

from functools import partial

from trainingrun_agent.context import StageContext
from trainingrun_agent.keys import Attempt
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage.epochs import require_newest
from trainingrun_agent.transfer.last_step import LastStep
from trainingrun_agent.transfer.periodic_thread import PeriodicThread
from trainingrun_agent.transfer.resume import StoredCheckpoint
from trainingrun_agent.transfer.ship_checkpoints import CheckpointShipper
from trainingrun_agent.transfer.ship_events import EventShipper

CHECKPOINT_SECONDS = 5.0
EVENT_SECONDS = 3.0


class TrainingShipper:
    """`newest` is the newest checkpoint in the bucket, at first the one that training resumed from."""

    def __init__(
        self, context: StageContext, attempt: Attempt, folder: Folder, *, newest: StoredCheckpoint | None
    ) -> None:
        store, self._progress = context.out, context.progress
        # Its own handle, because a thread that hangs may outlive the stage.
        self._folder = folder.walk()
        self._checkpoints = CheckpointShipper(
            store,
            attempt,
            self._folder,
            pod_uid=context.config.pod_uid,
            clock=context.clock,
            newest=newest,
            before_publishing=partial(require_newest, store, context.config.resolved.run_keys, attempt.epoch),
            on_shipped=lambda step: self._progress.update(checkpointStep=step),
        )
        self._events = EventShipper(store, attempt, self._folder)
        self._last_step = LastStep(store, attempt, context.clock)
        self._threads = (
            PeriodicThread("ship-checkpoints", self._checkpoints.ship, interval=CHECKPOINT_SECONDS),
            PeriodicThread("ship-events", self._ship_events, interval=EVENT_SECONDS, last=self._finish_events),
        )
        if newest is not None:
            self._progress.update(checkpointStep=newest.step)

    @property
    def newest(self) -> StoredCheckpoint | None:
        """The newest complete checkpoint in the bucket."""
        return self._checkpoints.newest

    def start(self) -> None:
        """Start the uploads."""
        for thread in self._threads:
            thread.start()

    def turn(self, step: int | None) -> None:
        """Collect checkpoints that became ready; `step` is where training is. Raises what ended a thread."""
        if step is not None:
            self._last_step.reached(step)
        if self._checkpoints.collect():
            self._threads[0].wake()
        for thread in self._threads:
            thread.check()

    def close(self) -> None:
        """Ask for the upload of the rest; `join` waits for it."""
        for thread in self._threads:
            thread.close()

    def join(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for each thread; True when everything is uploaded."""
        over = all([thread.join(timeout) for thread in self._threads])  # noqa: C419 - every thread is waited for
        if over:
            self._folder.close()
        return over

    def _ship_events(self) -> None:
        self._events.ship()
        self._last_step.write()

    def _finish_events(self) -> None:
        self._last_step.write(at_once=True)
        self._events.compact()
