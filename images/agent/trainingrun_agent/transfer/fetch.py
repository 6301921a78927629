"""Fetches the input of a stage: data set, pipeline.config, weights, and the checkpoint to resume from.

Invariant: when a function returns, everything is there and verified. Transfers run in parallel, because the trainer's
GPU waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import StageError, UserError
from trainingrun_agent.pipeline.start import Start, start_from
from trainingrun_agent.reasons.pods import RESULT_MISSING
from trainingrun_agent.reasons.resume import RESUME_CHECKPOINTS_GONE
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage.results import read_result
from trainingrun_agent.terms import Place
from trainingrun_agent.transfer import dataset
from trainingrun_agent.transfer.dataset import DatasetFetch, DatasetFile, DatasetFiles
from trainingrun_agent.transfer.fetch_chosen import fetch_chosen, scores_in_training
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.other_run import OtherRun
from trainingrun_agent.transfer.parallel import Transfers
from trainingrun_agent.transfer.resume import StoredCheckpoint, restore, stored_checkpoints, write_state
from trainingrun_agent.transfer.spec import ExportInput, work_spec
from trainingrun_agent.transfer.training_history import TrainingHistory, read_history
from trainingrun_agent.transfer.training_spec import training_fields
from trainingrun_agent.transfer.web_weights import fetch_pretrained
from trainingrun_agent.transfer.weights import require_all


@dataclass(frozen=True)
class TrainInput:
    """The input of training; `history` is what earlier attempts left.

    `start` says what is taken of the pretrained weights, None without any. `own` is the newest checkpoint of the run
    itself: `resumed` is of another run until there is one.
    """

    spec: dict[str, Any]
    resumed: StoredCheckpoint | None
    history: TrainingHistory
    start: Start | None
    own: StoredCheckpoint | None = None

    @property
    def resumed_from(self) -> int:
        """The step that training resumes from; 0 for a start from the beginning."""
        return self.resumed.step if self.resumed else 0

    @property
    def steps_lost(self) -> int:
        """Steps after the checkpoint that earlier attempts trained and that are lost."""
        return max(0, self.history.reached - self.resumed_from)


class ExportWork(NamedTuple):
    """The exporter's spec, and the `intensity_range` of the data set, which users of the export need."""

    spec: dict[str, Any]
    intensity_range: Sequence[int] | None


def fetch_train(context: StageContext, folder: Folder, *, epoch: int, while_waiting: Callable[[], None]) -> TrainInput:
    """Fetch everything for training. `while_waiting` is called several times a second and may raise."""
    meter = Meter(context.progress, context.stop)
    files, fetch = _locate(context)
    asked = context.config.resolved.model.pretrained
    with (
        folder.sub(names.DATASET, create=True) as into,
        folder.sub(names.MODEL, create=True) as model,
        Transfers(meter, while_waiting=while_waiting) as transfers,
    ):
        _start_dataset(transfers, fetch, files.files("train", "eval"), into=into, meter=meter)
        configuring = transfers.start(partial(_fetch_pipeline_config, context, files, folder))
        resuming = transfers.start(partial(_resume, context, model, epoch=epoch, meter=meter))
        if asked is not None:
            weighing = transfers.start(partial(fetch_pretrained, context, asked, shared=folder, meter=meter))
    fetch.raise_if_lost()
    resumed, own, history = resuming.result()
    start = None
    if asked is not None:
        classes = context.config.resolved.dataset.classes
        start = start_from(weighing.result(), asked.scope, pipeline_config=configuring.result(), classes=classes)
        require_all(start, asked)
    resolved = context.config.resolved
    spec = work_spec(resolved, files, start=start, resumed_from=resumed.step if resumed else 0)
    spec |= training_fields(resolved, context.config.changes, history, own_step=own.step if own else 0)
    return TrainInput(spec, resumed, history, start, own)


def fetch_export(context: StageContext, folder: Folder, *, epoch: int, while_waiting: Callable[[], None]) -> ExportWork:
    """Fetch the checkpoint to export and the eval records."""
    meter = Meter(context.progress, context.stop)
    trained = _trained(context)
    files, fetch = _locate(context)
    with (
        folder.sub(names.DATASET, create=True) as into,
        folder.sub(names.CHECKPOINT, create=True) as checkpoint,
        Transfers(meter, while_waiting=while_waiting) as transfers,
    ):
        _start_dataset(transfers, fetch, files.files("eval"), into=into, meter=meter)
        transfers.start(partial(_fetch_pipeline_config, context, files, folder))
        choosing = transfers.start(partial(fetch_chosen, context, checkpoint, epoch=epoch, meter=meter))
    fetch.raise_if_lost()
    chosen = choosing.result()
    ap50, mean_ap = scores_in_training(chosen, trained["numbers"])
    prefix = f"{names.CHECKPOINT}/model.ckpt-{chosen.step}"
    source = ExportInput(prefix, chosen.step, ap50, mean_ap, chosen.reason)
    spec = work_spec(context.config.resolved, files, start=None, resumed_from=0, export=source)
    if files.intensity_range is not None:
        spec["intensityRange"] = list(files.intensity_range)
    return ExportWork(spec, files.intensity_range)


def _locate(context: StageContext) -> tuple[DatasetFiles, DatasetFetch]:
    resolved = context.config.resolved
    return dataset.locate(context.out, resolved), DatasetFetch(context.out, resolved, context.clock)


def _trained(context: StageContext) -> dict[str, Any]:
    run = context.config.resolved.run_keys
    result = read_result(context.out, run, "train")
    if result is None:
        raise StageError(RESULT_MISSING, place=Place(context.out.bucket, run.result("train")))
    return result


def _start_dataset(
    transfers: Transfers, fetch: DatasetFetch, wanted: list[DatasetFile], *, into: Folder, meter: Meter
) -> None:
    meter.expect(sum(file.size for file in wanted))
    for file in wanted:
        transfers.start(partial(fetch.fetch, file, into, meter))


def _fetch_pipeline_config(context: StageContext, files: DatasetFiles, folder: Folder) -> str:
    with dataset.raising_lost():
        data = dataset.read_pipeline_config(context.out, context.config.resolved, sha256=files.pipeline_sha256)
    folder.write(names.PIPELINE_CONFIG, data)
    return data.decode("utf-8", "replace")


class _Resumed(NamedTuple):
    """The checkpoint to resume from, now in `model/`; `own` is the same if it is of this run."""

    checkpoint: StoredCheckpoint | None
    own: StoredCheckpoint | None
    history: TrainingHistory


def _resume(context: StageContext, model: Folder, *, epoch: int, meter: Meter) -> _Resumed:
    resolved = context.config.resolved
    stored = stored_checkpoints(context.out, resolved.run_keys, before_epoch=epoch)
    own = restore(context.out, stored, model, meter)
    restored = own or _restore_other(context, model, meter=meter)
    if restored is not None:
        write_state(model, restored.step)
    history = read_history(
        context.out,
        resolved.run_keys,
        before_epoch=epoch,
        checkpoints=stored,
        resumed_from=restored.step if restored else 0,
        train=resolved.train,
    )
    return _Resumed(restored, own, history)


def _restore_other(context: StageContext, model: Folder, *, meter: Meter) -> StoredCheckpoint | None:
    """The newest checkpoint of the run that this one continues; None without such a run."""
    other, steps = OtherRun.of(context), context.config.resolved.train.steps
    if other is None:
        return None
    candidates = [checkpoint for checkpoint in other.checkpoints() if checkpoint.step < steps]
    restored = restore(other.store, candidates, model, meter)
    if restored is None:
        raise UserError(RESUME_CHECKPOINTS_GONE, place=other.uri)
    return restored
