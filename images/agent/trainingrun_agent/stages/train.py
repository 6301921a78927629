"""The train stage: fetch, let the trainer work, upload what it makes, report how it ended.

Invariant: the stage succeeds only after trained.json is in the bucket, which is written after the manifest of the final
checkpoint. At any time before, the newest complete checkpoint is in the bucket or on its way there. At the end the
checkpoint leaves first, then the result, then the rest of the event files, which changes the verdict no more.
"""

from __future__ import annotations

from typing import Any

from trainingrun_agent import host_memory
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import Interrupted, StageError
from trainingrun_agent.log import logger
from trainingrun_agent.reasons.pods import (
    ALREADY_TRAINED,
    FINAL_CHECKPOINT_MISSING,
    GRACE_PERIOD_OVER,
    TRAINED,
    TRAINED_IN_PART,
)
from trainingrun_agent.stages.trainer_session import End, TrainerGoneError
from trainingrun_agent.stages.trainer_stage import TrainerStage, trainer_stage
from trainingrun_agent.stages.training_start import TrainingStart
from trainingrun_agent.terms import Message
from trainingrun_agent.transfer.fetch import TrainInput, fetch_train
from trainingrun_agent.transfer.resume import StoredCheckpoint
from trainingrun_agent.transfer.ship_training import TrainingShipper
from trainingrun_agent.transfer.training_history import BestSoFar
from trainingrun_agent.verdict import StageResult

CONTAINER = "trainer"
JOIN_SECONDS = 0.2


def run(context: StageContext) -> StageResult:
    """Run the stage. Raises StageError."""
    with trainer_stage(context, "train", container=CONTAINER) as stage:
        return _Training(stage).run()


class _Training:
    def __init__(self, stage: TrainerStage) -> None:
        self._stage, self._context, self._session = stage, stage.context, stage.session
        self._steps = stage.context.config.resolved.train.steps
        self._input: TrainInput | None = None
        self._start = TrainingStart(stage.context)
        self._shipper: TrainingShipper | None = None
        self._best: BestSoFar | None = None
        self._end: End | None = None

    def run(self) -> StageResult:
        """From fetch to result; the record gets the numbers however training ends."""
        self._context.record.numbers = self._numbers()
        self._expect_training(images=0)
        previous = self._stage.previous_result(ALREADY_TRAINED)
        if previous is not None:
            return previous
        try:
            return self._train()
        finally:
            self._context.record.numbers = self._numbers()

    def _expect_training(self, *, images: int, most_seconds: float | None = None) -> None:
        """Estimate the training, with so many images in each evaluation, and an end after so many seconds."""
        plan = self._context.config.resolved.train
        self._context.progress.expect_training(
            steps=plan.steps,
            evaluate_every=max(plan.eval_every_steps, plan.save_every_steps),  # only checkpoints are evaluated
            batches_per_evaluation=images / plan.batch_size,
            most_seconds=most_seconds,
        )

    def _train(self) -> StageResult:
        record = self._context.record
        try:
            with record.part("fetch"):
                found = self._fetch()
        except TrainerGoneError:
            self._end = self._session.end()
            raise self._stage.failure(self._end) or self._incomplete() from None
        shipper = self._start_shipping(found)
        with record.part("work"):
            self._end = self._session.follow(lambda: self._turn(shipper))
        with record.part("ship"):
            self._ship_checkpoint(shipper)
            record.numbers = self._numbers()  # for a verdict without this stage, if the rest hangs
            wrong = self._wrong(self._end)
            if wrong is None and self._newest is not None:
                self._stage.write_result(manifest_key=self._newest.manifest_key, numbers=record.numbers)
            self._ship_events(shipper)
        if wrong is not None:
            raise wrong
        if stopped_by := self._stopped_by(self._end):
            return StageResult(TRAINED_IN_PART[stopped_by], {"steps": self._steps, "step": record.numbers["step"]})
        return StageResult(TRAINED, {"steps": self._steps})

    def _fetch(self) -> TrainInput:
        epoch = self._stage.begin()
        found = fetch_train(
            self._context, self._stage.folder, epoch=epoch, while_waiting=self._session.check_while_fetching
        )
        if found.history.reached or found.resumed:
            self._context.progress.update(resumedFromStep=found.resumed_from, stepsLost=found.steps_lost)
        self._expect_training(images=found.spec["evalImages"], most_seconds=found.spec.get("maxTrainingSeconds"))
        self._stage.give_work(found.spec)
        self._input = found
        self._start.of(found)
        return found

    def _start_shipping(self, found: TrainInput) -> TrainingShipper:
        stage, metric = self._stage, self._context.config.resolved.train.metric
        self._best = BestSoFar(stage.folder, stage.attempt.epoch, found.history, metric)
        self._shipper = TrainingShipper(self._context, stage.attempt, stage.folder, newest=found.own)
        self._shipper.start()
        return self._shipper

    def _turn(self, shipper: TrainingShipper) -> None:
        self._start.observe(self._session.restored)
        shipper.turn(self._session.step, self._session.training_time.seconds)

    def _ship_checkpoint(self, shipper: TrainingShipper) -> None:
        self._context.progress.update(phase="shipping")
        self._turn(shipper)
        shipper.close()
        while not shipper.checkpoint_shipped(JOIN_SECONDS):
            if self._session.seconds_left() == 0:
                error = Interrupted(GRACE_PERIOD_OVER, seconds=self._context.config.grace_seconds)
                raise error.with_more(self._newest_text())

    def _ship_events(self, shipper: TrainingShipper) -> None:
        """Upload the rest of the event files: best effort, because how training ended is known."""
        try:
            while not shipper.events_shipped(JOIN_SECONDS):
                if self._session.seconds_left() == 0:
                    logger.warning("the grace period is over: the newest points of TensorBoard's curves are lost")
                    return
        except StageError as error:
            logger.warning("the newest points of TensorBoard's curves are lost: %s", error)

    def _wrong(self, end: End) -> StageError | None:
        """Why the stage failed, None if it succeeded."""
        wrong = self._stage.failure(end)
        if wrong is None and self._newest is not None and self._newest.step >= self._last_step(end):
            return None
        return self._stage.with_stacks((wrong or self._incomplete()).with_more(self._newest_text()))

    def _stopped_by(self, end: End) -> str | None:
        """Why training ended before its last step, if the trainer reports what it was asked for."""
        config = self._context.config
        asked = {
            "earlyStopping": config.resolved.train.early_stopping is not None,
            "finish": config.changes.finish,
            "maxDuration": config.resolved.train.max_duration_seconds is not None,
        }
        return end.done.stopped_by if end.done and asked.get(end.done.stopped_by) else None

    def _last_step(self, end: End) -> int:
        """The step whose checkpoint is the result of the stage."""
        if end.done is None or end.done.step is None or self._stopped_by(end) is None:
            return self._steps
        return min(end.done.step, self._steps)

    def _incomplete(self) -> StageError:
        steps = self._last_step(self._end) if self._end else self._steps
        return StageError(FINAL_CHECKPOINT_MISSING, steps=steps, container=CONTAINER)

    @property
    def _newest(self) -> StoredCheckpoint | None:
        return self._shipper.newest if self._shipper else None

    def _newest_text(self) -> Message:
        if self._newest is None:
            return Message(" No checkpoint is in the bucket yet.")
        return Message(" The newest checkpoint in the bucket is of step {step}.", {"step": self._newest.step})

    def _peak_memory(self) -> int | None:
        reports = (self._end.done, self._end.last) if self._end else ()
        return max((report.peak_memory for report in reports if report and report.peak_memory), default=None)

    def _numbers(self) -> dict[str, Any]:
        """The numbers of the schema, without those that are not known."""
        done, last = (self._end.done, self._end.last) if self._end else (None, None)
        numbers: dict[str, Any] = {"steps": self._steps, "step": self._session.step}
        if done is not None and done.step is not None:
            numbers["step"] = done.step
        for name, field in (("loss", "loss"), ("ap50", "ap50"), ("mAP", "mean_ap")):
            values = (getattr(source, field, None) for source in (done, last))
            numbers[name] = next((value for value in values if value is not None), None)
        if self._input is not None:
            if self._input.resumed or self._input.history.reached:
                numbers["resumedFromStep"] = self._input.resumed_from
                numbers["stepsLost"] = self._input.steps_lost
            numbers["restored"] = self._start.restored or None
            numbers["gpuWaitSeconds"] = round(self._session.gpu_wait_seconds, 3)
        numbers["trainingSeconds"] = self._session.training_time.seconds
        numbers["stoppedBy"] = self._stopped_by(self._end) if self._end else None
        best = self._best.evaluation() if self._best else None
        numbers["best"] = best.to_json() if best else None
        numbers |= host_memory.reported(trainer=self._peak_memory())
        if self._newest is not None:
            numbers["checkpointStep"] = numbers["newestCheckpointStep"] = self._newest.step
            numbers["checkpointURI"] = f"s3://{self._context.out.bucket}/{self._newest.folder}/"
        numbers["keptCheckpoints"] = self._shipper.kept if self._shipper else None
        return {name: value for name, value in numbers.items() if value is not None}
