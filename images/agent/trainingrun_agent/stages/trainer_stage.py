"""What the stages train and export share: the other container of the pod works, the agent serves it.

Invariant: a container that gets no work always finds fetch-failed.json, so that it ends by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from trainingrun_agent.context import StageContext
from trainingrun_agent.contract import Stage
from trainingrun_agent.errors import UNUSABLE, StageError
from trainingrun_agent.keys import Attempt
from trainingrun_agent.log import logger
from trainingrun_agent.reasons.entry import Reason
from trainingrun_agent.reasons.pods import DIED
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.shared.trainer_log import last_line
from trainingrun_agent.stages.trainer_failure import failure
from trainingrun_agent.stages.trainer_session import End, TrainerSession
from trainingrun_agent.storage.epochs import claim
from trainingrun_agent.storage.manifest import Producer
from trainingrun_agent.storage.results import read_result, write_result
from trainingrun_agent.terms import Message
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.ship_stacks import with_stacks
from trainingrun_agent.transfer.spec import give_work, refuse_work
from trainingrun_agent.transfer.verify import verify
from trainingrun_agent.verdict import StageResult


class TrainerStage:
    """The stage `name`, whose work the container `container` does; used from one thread."""

    def __init__(self, context: StageContext, folder: Folder, name: Stage, *, container: str) -> None:
        self.context, self.folder, self.name, self.container = context, folder, name, container
        self.session = TrainerSession(context, folder)
        self.working = False

    def previous_result(self, reason: Reason) -> StageResult | None:
        """The result of an earlier attempt that finished the stage; then the container gets no work."""
        with self.context.record.part("fetch"):
            found = self._sound_result()
        if found is None:
            return None
        result = StageResult(reason, {"epoch": found["epoch"]})
        refuse_work(self.folder, reason=reason.name, message=result.message)
        self.context.record.numbers = found["numbers"]
        return result

    def _sound_result(self) -> dict[str, Any] | None:
        """The stage's result, None if there is none, or if it or what it points to is lost: the stage is done again."""
        out, resolved = self.context.out, self.context.config.resolved
        try:
            found = read_result(out, resolved.run_keys, self.name)
            if found is not None:
                meter = Meter(self.context.progress, self.context.stop)
                verify(out, resolved.keys.absolute(str(found["manifestKey"])), shared=self.folder, meter=meter)
        except UNUSABLE as error:
            logger.warning("%s is done again: %s", self.name, error)
            return None
        return found

    def begin(self) -> int:
        """Watch the container and claim an epoch; returns the epoch."""
        context = self.context
        self.session.begin()
        epoch = claim(context.out, context.config.resolved.run_keys, context.config.pod_uid)
        context.record.claimed(epoch)
        context.progress.update(phase="fetching")
        return epoch

    def give_work(self, spec: Mapping[str, Any]) -> None:
        """Let the container work."""
        self.context.progress.update(phase="waitingForTrainer")
        give_work(self.folder, spec)
        self.working = True
        self.session.work_given()

    @property
    def attempt(self) -> Attempt:
        """Where this pod may write; only once an epoch is claimed."""
        config = self.context.config
        return config.resolved.run_keys.attempt(self.name, epoch=self.context.record.epoch or 0, pod_uid=config.pod_uid)

    def failure(self, end: End) -> StageError | None:
        """Why the stage failed, None when the container reports success."""
        config = self.context.config
        wrong = failure(
            end,
            container=self.container,
            batch_size=config.changes.batch_size or config.resolved.train.batch_size,
            lowered=config.changes.learning_rate_factor < 1,
        )
        if wrong is None or wrong.entry is not DIED[self.container]:
            return wrong
        line = last_line(self.folder, self.context.clock)
        return wrong.with_more(Message(" Its log ends with: {line}.", {"line": line.rstrip(".")})) if line else wrong

    def with_stacks(self, error: StageError) -> StageError:
        """Upload the stacks of a stalled container; returns the error with their address in its message."""
        return with_stacks(self.context.out, self.attempt, self.folder, error)

    def write_result(self, *, manifest_key: str, numbers: Mapping[str, Any]) -> None:
        """Write the stage's result: from now on the stage is finished."""
        resolved = self.context.config.resolved
        write_result(
            self.context.out,
            resolved.run_keys,
            stage=self.name,
            producer=Producer(self.context.config.pod_uid, self.attempt.epoch),
            manifest_key=resolved.keys.relative(manifest_key),
            numbers=numbers,
        )


@contextmanager
def trainer_stage(context: StageContext, name: Stage, *, container: str) -> Iterator[TrainerStage]:
    """Open the shared folder for a stage; after an error before the container has begun to work, refuse it the work."""
    with Folder.open(context.config.shared) as folder:
        stage = TrainerStage(context, folder, name, container=container)
        try:
            yield stage
        except StageError as error:
            if not stage.working or not stage.session.lock.started.is_set():
                refuse_work(folder, reason=error.reason, message=error.message)
            raise
        finally:
            stage.session.close()
