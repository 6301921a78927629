"""Writes spec.json or fetch-failed.json, for which the trainer waits.

Invariant: they are written by rename, after everything that they name is in the shared folder. Contracts:
images/contracts/shared-spec.schema.json and shared-failed.schema.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trainingrun_agent import contract
from trainingrun_agent.config import Resolved
from trainingrun_agent.errors import DiskFull
from trainingrun_agent.log import logger
from trainingrun_agent.pipeline.start import Start
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder, UnsafeFileError
from trainingrun_agent.transfer.dataset import DatasetFiles
from trainingrun_agent.transfer.weights import PREFIX

MAX_MESSAGE = 1500


@dataclass(frozen=True)
class ExportInput:
    """The input of the exporter: the prefix of a checkpoint, its step, its scores in training, and why this one."""

    checkpoint: str
    step: int
    training_ap50: float | None
    training_map: float | None
    reason: str


def work_spec(
    resolved: Resolved,
    dataset: DatasetFiles,
    *,
    start: Start | None,
    resumed_from: int,
    export: ExportInput | None = None,
) -> dict[str, Any]:
    """The spec.json of the trainer, or with `export` of the exporter, which gets no train records.

    `start` says what is taken of the weights in `pretrained/`, if there are any.
    """
    stage: Literal["train", "export"] = "export" if export else "train"
    train, asked = resolved.train, resolved.model.pretrained
    return {
        "contractVersion": contract.VERSION,
        "stage": stage,
        "pipelineConfig": names.PIPELINE_CONFIG,
        "trainRecords": dataset.records("train") if stage == "train" else [],
        "evalRecords": dataset.records("eval"),
        "trainImages": dataset.images["train"],
        "evalImages": dataset.images["eval"],
        "labelMap": f"{names.DATASET}/{names.LABEL_MAP}",
        "modelDir": names.MODEL,
        "pretrained": PREFIX if start else None,
        **({"pretrainedScope": start.scope} if start else {}),
        **({"pretrainedAll": True} if asked is not None and asked.scope == "all" and start else {}),
        "steps": train.steps,
        "saveEverySteps": train.save_every_steps,
        "evalEverySteps": train.eval_every_steps,
        "gpus": train.gpus,
        "resumedFromStep": resumed_from,
        "checkpoint": export.checkpoint if export else None,
        "checkpointStep": export.step if export else None,
        "maxEvalImages": resolved.export.eval_images if export else None,
        "trainingAP50": export.training_ap50 if export else None,
        "trainingMAP": export.training_map if export else None,
        "checkpointReason": export.reason if export else None,
        "stallSeconds": train.stall_seconds,
    }


def give_work(folder: Folder, spec: Mapping[str, Any]) -> None:
    """Write spec.json, so that the trainer starts."""
    folder.write(names.SPEC, json.dumps(spec, indent=1, allow_nan=False).encode())


def refuse_work(folder: Folder, *, reason: str, message: str) -> None:
    """Tell the trainer that it gets no work; it ends with exit code 0. On a full disk, its data set makes room."""
    document = {"contractVersion": contract.VERSION, "reason": reason, "message": message[:MAX_MESSAGE]}
    data = json.dumps(document).encode()
    try:
        try:
            folder.write(names.FETCH_FAILED, data)
        except DiskFull:
            folder.remove_sub(names.DATASET)
            folder.write(names.FETCH_FAILED, data)
    except (DiskFull, UnsafeFileError) as error:
        logger.warning("the other container is not told that it gets no work: %s", error)
