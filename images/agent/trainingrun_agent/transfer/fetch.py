"""Fetching what a stage works on: data set, pipeline.config, weights, the checkpoint to go on from.

Invariant: everything is there and verified when a function returns; transfers run side by side, because the
trainer's GPU waits for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import Outcome, StageError
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage.results import read_result
from trainingrun_agent.transfer import dataset, weights
from trainingrun_agent.transfer.dataset import DatasetFiles
from trainingrun_agent.transfer.last_step import highest_known_step
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.parallel import together
from trainingrun_agent.transfer.resume import StoredCheckpoint, restore, stored_checkpoints, write_state
from trainingrun_agent.transfer.spec import MODEL, PIPELINE_CONFIG, ExportInput, work_spec

CHECKPOINT = "checkpoint"
MAX_PIPELINE_CONFIG = 1 << 20

Turn = Callable[[], None]


@dataclass
class TrainInput:
    """What was fetched for training; `reached` is the highest step an earlier attempt is known to have made."""

    spec: dict[str, Any]
    resumed: StoredCheckpoint | None
    reached: int

    @property
    def resumed_from(self) -> int:
        """The step training goes on from; 0 for the start."""
        return self.resumed.step if self.resumed else 0

    @property
    def steps_lost(self) -> int:
        """Steps that earlier attempts made after the checkpoint."""
        return max(0, self.reached - self.resumed_from)


@dataclass
class _Resume:
    """Filled in by the thread that looks for a checkpoint."""

    checkpoint: StoredCheckpoint | None = None
    reached: int = 0


def fetch_train(context: StageContext, folder: Folder, *, epoch: int, while_waiting: Turn) -> TrainInput:
    """Fetch everything for training. `while_waiting` is called several times a second and may raise."""
    meter = Meter(context.progress, context.stop)
    files = _locate(context)
    resume = _Resume()
    pretrained = context.config.resolved.model.pretrained
    with folder.sub(dataset.FOLDER, create=True) as into, folder.sub(MODEL, create=True) as model:
        tasks = [*_dataset_tasks(context, files, ("train", "eval"), into=into, meter=meter)]
        tasks.append(partial(_fetch_pipeline_config, context, folder))
        tasks.append(partial(_resume, context, model, epoch=epoch, meter=meter, found=resume))
        if pretrained is not None:
            store = context.store_for(pretrained.bucket)
            tasks.append(partial(weights.fetch_weights, store, pretrained, shared=folder, meter=meter))
        together(tasks, meter=meter, while_waiting=while_waiting)
    return TrainInput(
        work_spec(
            context.config.resolved,
            files,
            pretrained=weights.PREFIX if pretrained else None,
            resumed_from=resume.checkpoint.step if resume.checkpoint else 0,
        ),
        resume.checkpoint,
        resume.reached,
    )


def fetch_export(context: StageContext, folder: Folder, *, epoch: int, while_waiting: Turn) -> dict[str, Any]:
    """Fetch the highest complete checkpoint and the eval records; returns the exporter's spec."""
    meter = Meter(context.progress, context.stop)
    trained = _prerequisite(context, "train")
    files = _locate(context)
    resume = _Resume()
    with folder.sub(dataset.FOLDER, create=True) as into, folder.sub(CHECKPOINT, create=True) as checkpoint:
        tasks = [*_dataset_tasks(context, files, ("eval",), into=into, meter=meter)]
        tasks.append(partial(_fetch_pipeline_config, context, folder))
        tasks.append(partial(_newest, context, checkpoint, epoch=epoch, meter=meter, found=resume))
        together(tasks, meter=meter, while_waiting=while_waiting)
    if resume.checkpoint is None:
        raise StageError(
            Outcome.CRASH,
            "CheckpointMissing",
            f"no complete checkpoint below s3://{context.out.bucket}/{context.config.resolved.run_keys.attempts('train')}/",
            "The checkpoints were deleted after training: create a new TrainingRun.",
        )
    step = resume.checkpoint.step
    ap50 = trained["numbers"].get("ap50")
    source = ExportInput(f"{CHECKPOINT}/model.ckpt-{step}", step, ap50 if isinstance(ap50, float | int) else None)
    return work_spec(context.config.resolved, files, pretrained=None, resumed_from=0, export=source)


def _locate(context: StageContext) -> DatasetFiles:
    return dataset.locate(context.out, context.config.resolved, _prerequisite(context, "prep"))


def _prerequisite(context: StageContext, stage: Any) -> dict[str, Any]:
    run = context.config.resolved.run_keys
    result = read_result(context.out, run, stage)
    if result is None:
        raise StageError(
            Outcome.CRASH,
            "ResultMissing",
            f"stage {stage} has no result at s3://{context.out.bucket}/{run.result(stage)}",
            "It was deleted after the stage had ended: create a new TrainingRun.",
        )
    return result


def _dataset_tasks(
    context: StageContext, files: DatasetFiles, splits: tuple[str, ...], *, into: Folder, meter: Meter
) -> list[Callable[[], None]]:
    wanted = files.files(*splits)
    meter.expect(sum(file.size for file in wanted))
    return [partial(dataset.fetch, context.out, file, into, meter) for file in wanted]


def _fetch_pipeline_config(context: StageContext, folder: Folder) -> None:
    key = context.config.resolved.run_keys.pipeline_config
    folder.write(PIPELINE_CONFIG, context.out.get(key, max_bytes=MAX_PIPELINE_CONFIG))


def _resume(context: StageContext, model: Folder, *, epoch: int, meter: Meter, found: _Resume) -> None:
    _newest(context, model, epoch=epoch, meter=meter, found=found)
    if found.checkpoint is not None:
        write_state(model, found.checkpoint.step)
    found.reached = highest_known_step(context.out, context.config.resolved.run_keys, before_epoch=epoch)


def _newest(context: StageContext, into: Folder, *, epoch: int, meter: Meter, found: _Resume) -> None:
    run = context.config.resolved.run_keys
    candidates = stored_checkpoints(context.out, run, before_epoch=epoch)
    found.checkpoint = restore(context.out, candidates, into, meter)
