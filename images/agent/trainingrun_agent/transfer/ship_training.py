"""Everything a running training sends to the bucket: checkpoints and event files, each on a thread of its own.

Invariant: a failure of either thread is raised by the next `turn` or `join`; an upload of events never
delays one of a checkpoint.
"""

from __future__ import annotations

from functools import partial

from trainingrun_agent.context import StageContext
from trainingrun_agent.keys import Attempt
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage.epochs import require_newest
from trainingrun_agent.transfer.last_step import LastStep
from trainingrun_agent.transfer.periodic_thread import Worker
from trainingrun_agent.transfer.resume import StoredCheckpoint
from trainingrun_agent.transfer.ship_checkpoints import CheckpointShipper
from trainingrun_agent.transfer.ship_events import EventShipper

CHECKPOINT_SECONDS = 5.0
EVENT_SECONDS = 3.0


class TrainingShipper:
    """`newest` is the best checkpoint in the bucket, to begin with the one training resumed from."""

    def __init__(
        self, context: StageContext, attempt: Attempt, folder: Folder, *, newest: StoredCheckpoint | None
    ) -> None:
        store, self._progress = context.out, context.progress
        # A handle of its own, because threads that hang may outlive the stage.
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
        self._workers = (
            Worker("ship-checkpoints", self._checkpoints.ship, interval=CHECKPOINT_SECONDS),
            Worker("ship-events", self._ship_events, interval=EVENT_SECONDS, last=self._finish_events),
        )
        if newest is not None:
            self._progress.update(checkpointStep=newest.step)

    @property
    def newest(self) -> StoredCheckpoint | None:
        """The best checkpoint complete in the bucket."""
        return self._checkpoints.newest

    def start(self) -> None:
        """Begin to ship."""
        for worker in self._workers:
            worker.start()

    def turn(self, step: int | None) -> None:
        """Secure checkpoints that became ready; `step` is where training is. Raises what went wrong."""
        if step is not None:
            self._last_step.reached(step)
        if self._checkpoints.collect():
            self._workers[0].wake()
        for worker in self._workers:
            worker.check()

    def close(self) -> None:
        """Ship the rest; `join` tells when that is over."""
        for worker in self._workers:
            worker.close()

    def join(self, timeout: float) -> bool:
        """Whether everything is shipped, after at most `timeout` seconds for each thread."""
        over = all([worker.join(timeout) for worker in self._workers])  # noqa: C419 - each one gets its time
        if over:
            self._folder.close()
        return over

    def _ship_events(self) -> None:
        self._events.ship()
        self._last_step.write()

    def _finish_events(self) -> None:
        self._last_step.write(at_once=True)
        self._events.compact()
