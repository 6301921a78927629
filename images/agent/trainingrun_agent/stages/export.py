"""The export stage: fetch the trained checkpoint, let the exporter work, ship the model.

Invariant: the stage succeeds only after exported.json is in the bucket, which is written after the manifest
of the export.
"""

from __future__ import annotations

import threading
from typing import Any

from trainingrun_agent.attempt_record import Stopwatch
from trainingrun_agent.clock import rfc3339
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import Outcome, StageError
from trainingrun_agent.keys import Attempt, manifest_of
from trainingrun_agent.shared.documents import Done
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.stages.trainer_failure import failure
from trainingrun_agent.stages.trainer_session import End, TrainerGoneError, TrainerSession
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.epochs import claim
from trainingrun_agent.storage.manifest import Manifest, Producer
from trainingrun_agent.storage.results import read_result, write_result
from trainingrun_agent.transfer.fetch import fetch_export
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.ship_export import ship_export
from trainingrun_agent.transfer.ship_stacks import stacks_text
from trainingrun_agent.transfer.spec import give_work, send_away
from trainingrun_agent.verdict import Verdict

CONTAINER = "exporter"


def run(context: StageContext) -> Verdict:
    """Run the stage; every StageError becomes a verdict here."""
    with Folder.open(context.config.shared) as folder:
        return _Exporting(context, folder).run()


class _Exporting:
    def __init__(self, context: StageContext, folder: Folder) -> None:
        self._context, self._folder = context, folder
        self._resolved = context.config.resolved
        self._stopwatch = Stopwatch(context.clock, context.progress)
        self._session = TrainerSession(context, folder)
        self._epoch: int | None = None
        self._working = False

    def run(self) -> Verdict:
        """From fetch to verdict."""
        try:
            finished = read_result(self._context.out, self._resolved.run_keys, "export")
            if finished is not None:
                return self._already(finished)
            return self._export()
        except StageError as error:
            if not self._working:
                send_away(self._folder, error)
            return Verdict.of_error(error, stage="export", epoch=self._epoch, timings=self._stopwatch.timings)
        finally:
            self._session.close()

    def _already(self, finished: dict[str, Any]) -> Verdict:
        message = f"The export had ended in epoch {finished['epoch']}; nothing was left to do."
        send_away(self._folder, StageError(Outcome.SUCCEEDED, "AlreadyExported", message))
        return self._succeeded("AlreadyExported", message, finished["numbers"])

    def _export(self) -> Verdict:
        with self._stopwatch.part("fetch"):
            step = self._fetch()
        with self._stopwatch.part("work"):
            done = self._done(self._session.follow(lambda: None))
        numbers = self._numbers(done, step)
        with self._stopwatch.part("ship"):
            self._ship(self._attempt, numbers)
        return self._succeeded("Exported", f"Exported the checkpoint of step {step}.", numbers)

    def _fetch(self) -> int:
        self._session.begin()
        self._epoch = claim(self._context.out, self._resolved.run_keys, self._context.config.pod_uid)
        self._context.progress.update(epoch=self._epoch, phase="fetching")
        try:
            spec = fetch_export(
                self._context, self._folder, epoch=self._epoch, while_waiting=self._session.while_fetching
            )
        except TrainerGoneError:
            self._done(self._session.end())
            raise StageError(
                Outcome.CRASH,
                "ExporterDied",
                "Container exporter said that it succeeded before it had its work.",
                "See the log of container exporter.",
            ) from None
        self._context.progress.update(phase="waitingForTrainer")
        give_work(self._folder, spec)
        self._working = True
        self._session.work_given()
        step: int = spec["checkpointStep"]
        return step

    def _done(self, end: End) -> Done:
        wrong = failure(end, container=CONTAINER)
        if wrong is not None:
            wrong.message += stacks_text(self._context.out, self._attempt, self._folder, wrong)
            raise wrong
        if end.done is None or None in (end.done.ap50, end.done.mean_ap, end.done.eval_images):
            raise StageError(
                Outcome.CRASH,
                "ExportIncomplete",
                "The exporter's done.json names no ap50, mAP or evalImages.",
                "See the log of container exporter.",
            )
        return end.done

    @property
    def _attempt(self) -> Attempt:
        """Where this pod may write; only once the epoch is claimed."""
        uid = self._context.config.pod_uid
        return self._resolved.run_keys.attempt("export", epoch=self._epoch or 0, pod_uid=uid)

    def _numbers(self, done: Done, step: int) -> dict[str, Any]:
        return {
            "ap50": done.ap50,
            "mAP": done.mean_ap,
            "evalImages": done.eval_images,
            "checkpointStep": step,
            "uri": f"s3://{self._context.out.bucket}/{self._attempt.folder}/",
        }

    def _ship(self, attempt: Attempt, numbers: dict[str, Any]) -> None:
        store, config = self._context.out, self._context.config
        # SIGTERM does not end an upload: what is left of the grace period is enough for most.
        meter = Meter(self._context.progress, threading.Event(), phase="shipping")
        objects = ship_export(store, attempt.folder, self._folder, meter)
        manifest = Manifest(
            kind="export",
            producer=Producer(config.pod_uid, attempt.epoch),
            created=rfc3339(self._context.clock.now()),
            objects=objects,
            step=numbers["checkpointStep"],
            metrics={name: numbers[name] for name in ("ap50", "mAP", "evalImages")},
        )
        manifests.write(store, attempt.folder, manifest)
        write_result(
            store,
            self._resolved.run_keys,
            stage="export",
            epoch=attempt.epoch,
            pod_uid=config.pod_uid,
            manifest_key=self._resolved.keys.relative(manifest_of(attempt.folder)),
            numbers=numbers,
        )

    def _succeeded(self, reason: str, message: str, numbers: dict[str, Any]) -> Verdict:
        return Verdict(
            "export",
            Outcome.SUCCEEDED,
            reason,
            message,
            epoch=self._epoch,
            numbers=numbers,
            timings=self._stopwatch.timings,
        )
