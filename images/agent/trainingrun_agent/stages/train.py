"""The train stage: fetch, let the trainer work, ship what it makes, say how it ended.

Invariant: the stage succeeds only after trained.json is in the bucket, which is written after the final
checkpoint's manifest; whatever happens before that, the newest complete checkpoint is in the bucket or on
its way there.
"""

from __future__ import annotations

from typing import Any

from trainingrun_agent.attempt_record import Stopwatch
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import Interrupted, Outcome, StageError
from trainingrun_agent.keys import Attempt
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.stages.trainer_failure import failure
from trainingrun_agent.stages.trainer_session import End, TrainerGoneError, TrainerSession
from trainingrun_agent.storage.epochs import claim
from trainingrun_agent.storage.results import read_result, write_result
from trainingrun_agent.transfer.fetch import TrainInput, fetch_train
from trainingrun_agent.transfer.ship_stacks import stacks_text
from trainingrun_agent.transfer.ship_training import TrainingShipper
from trainingrun_agent.transfer.spec import give_work, send_away
from trainingrun_agent.verdict import Verdict

CONTAINER = "trainer"
DRAIN_SECONDS = 0.2


def run(context: StageContext) -> Verdict:
    """Run the stage; every StageError becomes a verdict here."""
    with Folder.open(context.config.shared) as folder:
        return _Training(context, folder).run()


class _Training:
    def __init__(self, context: StageContext, folder: Folder) -> None:
        self._context, self._folder = context, folder
        self._resolved = context.config.resolved
        self._stopwatch = Stopwatch(context.clock, context.progress)
        self._session = TrainerSession(context, folder)
        self._epoch: int | None = None
        self._input: TrainInput | None = None
        self._shipper: TrainingShipper | None = None
        self._end: End | None = None

    def run(self) -> Verdict:
        """From fetch to verdict."""
        try:
            finished = read_result(self._context.out, self._resolved.run_keys, "train")
            if finished is not None:
                return self._already(finished)
            return self._train()
        except StageError as error:
            if self._input is None:
                send_away(self._folder, error)
            return self._verdict(error)
        finally:
            self._session.close()

    def _already(self, finished: dict[str, Any]) -> Verdict:
        message = f"Training had ended in epoch {finished['epoch']}; nothing was left to do."
        send_away(self._folder, StageError(Outcome.SUCCEEDED, "AlreadyTrained", message))
        return Verdict(
            "train",
            Outcome.SUCCEEDED,
            "AlreadyTrained",
            message,
            numbers=finished["numbers"],
            timings=self._stopwatch.timings,
        )

    def _train(self) -> Verdict:
        try:
            with self._stopwatch.part("fetch"):
                found = self._fetch()
        except TrainerGoneError:
            self._end = self._session.end()
            return self._verdict(failure(self._end, container=CONTAINER) or self._incomplete())
        shipper = self._start_shipping(found)
        with self._stopwatch.part("work"):
            self._end = self._session.follow(lambda: shipper.turn(self._session.step))
        with self._stopwatch.part("ship"):
            self._ship_rest(shipper)
        return self._conclude(self._end)

    def _fetch(self) -> TrainInput:
        self._session.begin()
        self._epoch = claim(self._context.out, self._resolved.run_keys, self._context.config.pod_uid)
        self._context.progress.update(epoch=self._epoch, phase="fetching")
        found = fetch_train(self._context, self._folder, epoch=self._epoch, while_waiting=self._session.while_fetching)
        if found.reached or found.resumed:
            self._context.progress.update(resumedFromStep=found.resumed_from, stepsLost=found.steps_lost)
        self._context.progress.update(phase="waitingForTrainer")
        give_work(self._folder, found.spec)
        self._session.work_given()
        self._input = found
        return found

    def _start_shipping(self, found: TrainInput) -> TrainingShipper:
        self._shipper = TrainingShipper(self._context, self._attempt, self._folder, newest=found.resumed)
        self._shipper.start()
        return self._shipper

    @property
    def _attempt(self) -> Attempt:
        """Where this pod may write; only once the epoch is claimed."""
        uid = self._context.config.pod_uid
        return self._resolved.run_keys.attempt("train", epoch=self._epoch or 0, pod_uid=uid)

    def _ship_rest(self, shipper: TrainingShipper) -> None:
        self._context.progress.update(phase="shipping")
        shipper.turn(self._session.step)
        shipper.close()
        while not shipper.join(DRAIN_SECONDS):
            if self._session.seconds_left() == 0:
                raise Interrupted(
                    f"the grace period of {self._context.config.grace_seconds} s was over before everything was "
                    f"uploaded.{self._newest_text()}",
                    hint="Raise the pod's termination grace period, or save less often.",
                )

    def _conclude(self, end: End) -> Verdict:
        wrong = failure(end, container=CONTAINER)
        if wrong is None and self._newest_step() < self._resolved.train.steps:
            wrong = self._incomplete()
        if wrong is not None:
            wrong.message += self._newest_text() + stacks_text(self._context.out, self._attempt, self._folder, wrong)
            return self._verdict(wrong)
        return self._succeed()

    def _succeed(self) -> Verdict:
        newest = self._shipper.newest if self._shipper else None
        if newest is None:
            return self._verdict(self._incomplete())
        numbers = self._numbers()
        write_result(
            self._context.out,
            self._resolved.run_keys,
            stage="train",
            epoch=self._epoch or 0,
            pod_uid=self._context.config.pod_uid,
            manifest_key=self._resolved.keys.relative(newest.manifest_key),
            numbers=numbers,
        )
        return Verdict(
            "train",
            Outcome.SUCCEEDED,
            "Trained",
            f"Trained {self._resolved.train.steps} steps.",
            epoch=self._epoch,
            numbers=numbers,
            timings=self._stopwatch.timings,
        )

    def _incomplete(self) -> StageError:
        return StageError(
            Outcome.CRASH,
            "FinalCheckpointMissing",
            f"The trainer says that it succeeded, but left no complete checkpoint of step "
            f"{self._resolved.train.steps}.",
            "See the log of container trainer; a trainer image of your own has to write ready/<step>.json.",
        )

    def _verdict(self, error: StageError) -> Verdict:
        return Verdict.of_error(
            error,
            stage="train",
            epoch=self._epoch,
            numbers=self._numbers(),
            timings=self._stopwatch.timings,
        )

    def _newest_step(self) -> int:
        newest = self._shipper.newest if self._shipper else None
        return newest.step if newest else 0

    def _newest_text(self) -> str:
        newest = self._shipper.newest if self._shipper else None
        if newest is None:
            return " No checkpoint is in the bucket yet."
        return f" The newest checkpoint in the bucket is of step {newest.step}."

    def _numbers(self) -> dict[str, Any]:
        """As in the schema; what is not known is left out."""
        done, last = (self._end.done, self._end.last) if self._end else (None, None)
        numbers: dict[str, Any] = {"steps": self._resolved.train.steps, "step": self._session.step}
        if done is not None and done.step is not None:
            numbers["step"] = done.step
        for name, field in (("loss", "loss"), ("ap50", "ap50"), ("mAP", "mean_ap")):
            values = (getattr(source, field, None) for source in (done, last))
            numbers[name] = next((value for value in values if value is not None), None)
        if self._input is not None:
            if self._input.resumed or self._input.reached:
                numbers["resumedFromStep"] = self._input.resumed_from
                numbers["stepsLost"] = self._input.steps_lost
            numbers["gpuWaitSeconds"] = round(self._session.gpu_wait_seconds, 3)
        if self._shipper is not None and self._shipper.newest is not None:
            newest = self._shipper.newest
            numbers["checkpointStep"] = numbers["newestCheckpointStep"] = newest.step
            numbers["checkpointURI"] = f"s3://{self._context.out.bucket}/{newest.folder}/"
        return {name: value for name, value in numbers.items() if value is not None}
