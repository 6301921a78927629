"""The export stage: fetch the trained checkpoint, let the exporter work, upload the model.

Invariant: the stage succeeds only after exported.json is in the bucket, which is written after the manifest of the
export.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from trainingrun_agent import host_memory, uncertainty
from trainingrun_agent.clock import rfc3339
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import StageError
from trainingrun_agent.keys import manifest_of
from trainingrun_agent.log import logger
from trainingrun_agent.reasons.pods import ALREADY_EXPORTED, EXPORT_INCOMPLETE, EXPORTED, EXPORTER_DONE_TOO_EARLY
from trainingrun_agent.shared.class_scores import Scores, read_class_scores
from trainingrun_agent.shared.trainer_documents import Done
from trainingrun_agent.stages.gate import judge
from trainingrun_agent.stages.trainer_session import End, TrainerGoneError
from trainingrun_agent.stages.trainer_stage import TrainerStage, trainer_stage
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.manifest import Manifest, Producer
from trainingrun_agent.transfer.fetch import ExportWork, fetch_export
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.ship_export import ship_export
from trainingrun_agent.verdict import StageResult

CONTAINER = "exporter"
NOT_METRICS = ("checkpointStep", "uri", "peakMemoryBytes")
"""Numbers that say nothing about the model."""


def run(context: StageContext) -> StageResult:
    """Run the stage. Raises StageError."""
    with trainer_stage(context, "export", container=CONTAINER) as stage:
        return stage.previous_result(ALREADY_EXPORTED) or _export(stage)


def _export(stage: TrainerStage) -> StageResult:
    record = stage.context.record
    with record.part("fetch"):
        work = _fetch(stage)
    with record.part("work"):
        done = _check_end(stage, stage.session.follow(lambda: None))
    numbers = _numbers(stage, done, work.spec)
    with record.part("ship"):
        _ship(stage, numbers, work.intensity_range)
    record.numbers = numbers
    return StageResult(EXPORTED, {"step": numbers["checkpointStep"]})


def _fetch(stage: TrainerStage) -> ExportWork:
    epoch = stage.begin()
    try:
        work = fetch_export(stage.context, stage.folder, epoch=epoch, while_waiting=stage.session.check_while_fetching)
    except TrainerGoneError:
        _check_end(stage, stage.session.end())
        raise StageError(EXPORTER_DONE_TOO_EARLY, container=CONTAINER) from None
    stage.give_work(work.spec)
    return work


def _check_end(stage: TrainerStage, end: End) -> Done:
    wrong = stage.failure(end)
    if wrong is not None:
        raise stage.with_stacks(wrong)
    if end.done is None or None in (end.done.ap50, end.done.mean_ap, end.done.eval_images):
        problem = "done.json names no ap50, mAP or evalImages"
        raise StageError(EXPORT_INCOMPLETE, problem=problem, container=CONTAINER)
    return end.done


def _numbers(stage: TrainerStage, done: Done, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_scores(done),
        **_gate(stage, done),
        "evalImages": done.eval_images,
        "checkpointStep": spec["checkpointStep"],
        "checkpointReason": spec["checkpointReason"],
        **host_memory.reported(trainer=done.peak_memory),
        "uri": f"s3://{stage.context.out.bucket}/{stage.attempt.folder}/",
    }


def _scores(done: Done) -> dict[str, float | None]:
    """The scores, each with its uncertainty where few images make it large."""
    scores = {"ap50": done.ap50, "mAP": done.mean_ap}
    images = done.eval_images or 0
    if images >= uncertainty.FEW_IMAGES:
        return dict(scores)
    found = {f"{name}Uncertainty": uncertainty.uncertainty(score or 0.0, images) for name, score in scores.items()}
    return {**scores, **{name: round(value, 4) for name, value in found.items()}}


def _gate(stage: TrainerStage, done: Done) -> dict[str, Any]:
    """Whether the export reaches the scores that it has to; nothing without a gate."""
    resolved = stage.context.config.resolved
    if resolved.export.gate is None:
        return {}
    result = judge(
        resolved.export.gate,
        overall=Scores(done.mean_ap or 0.0, done.ap50 or 0.0),
        by_class=read_class_scores(stage.folder),
        classes=resolved.dataset.classes,
    )
    for text in result.missed:
        logger.warning("export.gate: %s", text)
    return {"gate": result.to_json()}


def _ship(stage: TrainerStage, numbers: dict[str, Any], intensity_range: Sequence[int] | None) -> None:
    context, attempt = stage.context, stage.attempt
    # SIGTERM does not end an upload: what is left of the grace period is enough for most.
    meter = Meter(context.progress, threading.Event(), phase="shipping")
    objects = ship_export(context.out, attempt.folder, stage.folder, meter)
    if intensity_range is not None:
        low, high = intensity_range
        logger.info("scale images of more than 8 bits as in training: %d is black, %d is white", low, high)
    manifest = Manifest(
        kind="export",
        producer=Producer(context.config.pod_uid, attempt.epoch),
        created=rfc3339(context.clock.now()),
        objects=objects,
        step=numbers["checkpointStep"],
        dataset=None if intensity_range is None else {"intensityRange": intensity_range},
        metrics={name: value for name, value in numbers.items() if name not in NOT_METRICS},
    )
    manifests.write(context.out, attempt.folder, manifest)
    stage.write_result(manifest_key=manifest_of(attempt.folder), numbers=numbers)
