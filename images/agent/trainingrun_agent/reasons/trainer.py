"""Reasons that the trainer and the exporter end with, by their own account in done.json (images/trainer).

Invariant: their messages are the trainer's, the next step is the one named here: the trainer does not know the spec. A
trainer image of the user's own may end with reasons that are not in the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from trainingrun_agent.reasons.dataset import CONFIG_REFUSED
from trainingrun_agent.reasons.entry import Outcome, Reason, Step
from trainingrun_agent.reasons.pods import DISK_FULL, OUT_OF_MEMORY
from trainingrun_agent.reasons.weights import PRETRAINED_UNUSABLE, WEIGHTS_OF_NO_NETWORK

MESSAGE = "{message}"
_USER, _CRASH, _GPU = Outcome.USER_ERROR, Outcome.CRASH, Outcome.GPU_UNFIT
_OWN_IMAGE = "If {field[train.image]} is an image of your own, check it; else"
_SHOW = "give your platform team the log of container {container}."


_BOXES = "also look for wrong boxes in the data report, and in the images that are named"


def _reason(
    name: str,
    outcome: Outcome,
    step: Step,
    *,
    hint: str,
    meaning: str,
    fields: tuple[str, ...] = (),
    suggest: Callable[[Any], object] | None = None,
) -> Reason:
    return Reason(name, outcome, step, MESSAGE, hint, meaning, fields, "trainer", suggest)


def _half(batch: int) -> int | None:
    return batch // 2 or None


def _third(rate: str) -> str:
    return f"{Decimal(f'{Decimal(rate) / 3:.1g}'):f}"  # the API takes no exponents


DIVERGED = _reason(
    "Diverged",
    Outcome.DIVERGED,
    Step.NEW_RUN,
    hint="{lower[train.learningRate]}, or with {field[train.onDivergence]}: Rollback, which goes on from the last good"
    f" checkpoint with half the rate; {_BOXES}.",
    meaning="The loss became infinite or NaN, or stayed far higher than before any learning. Mostly the learning"
    " rate is too high for the batch size, or boxes of the images that are named are wrong.",
    fields=("train.learningRate", "train.onDivergence"),
    suggest=_third,
)
DIVERGED_AGAIN = replace(
    DIVERGED, hint=f"{{lower[train.learningRate]}}: with half of that training diverged too; {_BOXES}."
)
DEVICE_OUT_OF_MEMORY = _reason(
    "DeviceOutOfMemory",
    Outcome.OUT_OF_MEMORY,
    Step.NEW_RUN,
    hint="{lower[train.batchSize]}, or with {field[train.onOutOfMemory]}: HalveBatch, which halves it by itself.",
    meaning="A batch does not fit into the memory of the GPU, or TensorFlow could not get memory for it.",
    fields=("train.batchSize", "train.onOutOfMemory"),
    suggest=_half,
)
ONE_IMAGE_TOO_LARGE = DEVICE_OUT_OF_MEMORY.case(
    hint="A batch is one image already: {change[model.network]}, one that needs less memory, or use a larger GPU.",
    fields=("model.network",),
)
BOX_OUTSIDE_IMAGE = _reason(
    "BoxOutsideImage",
    _USER,
    Step.NEW_RUN,
    hint="Correct the box that the data report names, then {new_run}, which prepares the data again.",
    meaning="TensorFlow found a box outside of its image in the records.",
)
IMAGE_UNREADABLE = _reason(
    "ImageUnreadable",
    _USER,
    Step.NEW_RUN,
    hint="Replace the image, then {new_run}, which prepares the data again.",
    meaning="TensorFlow cannot decode an image in the records.",
)
_PREPARE_AGAIN = (
    "Delete the folder of the data set in the bucket, the one with its report, then {new_run}, which prepares it again."
)
RECORDS_UNREADABLE = _reason(
    "RecordsUnreadable",
    _USER,
    Step.NEW_RUN,
    hint=_PREPARE_AGAIN,
    meaning="TensorFlow finds no records, or damaged ones.",
)
LABEL_MAP_REFUSED = _reason(
    "LabelMapRefused",
    _USER,
    Step.NEW_RUN,
    hint=_PREPARE_AGAIN,
    meaning="The label map of the data set is empty or cannot be parsed.",
)
CHECKPOINT_MISMATCH = _reason(
    "CheckpointMismatch",
    _USER,
    Step.NEW_RUN,
    hint="{change[model.pretrained.uri]}: weights of {field[model.network]}.",
    meaning="The checkpoint was made by another network, or for other classes.",
    fields=("model.pretrained.uri", "model.network"),
)
CHECKPOINT_UNREADABLE = _reason(
    "CheckpointUnreadable",
    _USER,
    Step.NEW_RUN,
    hint="{change[model.pretrained.uri]}.",
    meaning="TensorFlow cannot read the checkpoint that it was to start from.",
    fields=("model.pretrained.uri",),
)
NO_CUDA_BUILD = _reason(
    "NoCUDABuild",
    _GPU,
    Step.NEW_RUN,
    hint="{change[train.image]}, one for GPUs, or with {field[train.gpus]}: 0 to train on CPUs.",
    meaning="A GPU was asked for, but the TensorFlow of the trainer image is built without CUDA.",
    fields=("train.image", "train.gpus"),
)
GPU_NOT_USABLE = _reason(
    "GPUNotUsable",
    _GPU,
    Step.NEW_RUN,
    hint="TensorFlow 1.14 (CUDA 10.0) supports GPUs up to Turing; for newer ones {change[train.image]}, with NVIDIA's"
    " TensorFlow 1.15. Else ask your platform team to check the node's driver.",
    meaning="A GPU was asked for, but TensorFlow sees none that it can use.",
    fields=("train.image",),
)
GPU_TOO_NEW = _reason(
    "GPUTooNew",
    _GPU,
    Step.NEW_RUN,
    hint="{change[train.image]}, one for this GPU, with NVIDIA's TensorFlow 1.15; or with"
    " {field[train.pod.nodeSelector]} for nodes with an older GPU.",
    meaning="The GPU is newer than the CUDA of the trainer image: it would hang or fail in cuDNN and cuBLAS.",
    fields=("train.image", "train.pod.nodeSelector"),
)
CPU_WITHOUT_AVX = _reason(
    "CPUWithoutAVX",
    _USER,
    Step.NEW_RUN,
    hint="{change[stage.pod.nodeSelector]}, one for nodes whose CPU has AVX (with Node Feature Discovery:"
    ' feature.node.kubernetes.io/cpu-cpuid.AVX: "true"). If only this node has none, ask your platform team to keep the'
    " pod off it, then {retry}.",
    meaning="The CPU of the node has no AVX, which TensorFlow needs: its import ended in SIGILL.",
    fields=("stage.pod.nodeSelector",),
)
GPU_UNFIT = _reason(
    "GPUUnfit",
    _GPU,
    Step.NEW_RUN,
    hint="{change[train.image]}: one whose TensorFlow supports this GPU.",
    meaning="TensorFlow started on the GPU and failed in CUDA, cuDNN or cuBLAS.",
    fields=("train.image",),
)
TERMINATED = _reason(
    "Terminated",
    Outcome.INTERRUPTED,
    Step.WAIT,
    hint="Nothing to do: the next attempt resumes from the newest checkpoint.",
    meaning="The trainer got SIGTERM, saved a checkpoint and ended.",
)
EXCEPTION = _reason(
    "Exception",
    _CRASH,
    Step.PLATFORM,
    hint=f"The whole traceback is in the log of container {{container}}. {_OWN_IMAGE} {_SHOW}",
    meaning="The trainer ended with an error that has no entry of its own.",
    fields=("train.image",),
)
NO_CHECKPOINT = _reason(
    "NoCheckpoint",
    _CRASH,
    Step.PLATFORM,
    hint=f"{_OWN_IMAGE} {_SHOW}",
    meaning="Training ended without a checkpoint.",
    fields=("train.image",),
)
_EXPORT_HINT = f"{_OWN_IMAGE} {_SHOW}"
EXPORT_DETECTS_NOTHING = _reason(
    "ExportDetectsNothing",
    _CRASH,
    Step.PLATFORM,
    hint=_EXPORT_HINT,
    meaning="The exported model scores far below what training had measured on the same images.",
    fields=("train.image",),
)
FROZEN_GRAPH_UNUSABLE = _reason(
    "FrozenGraphUnusable",
    _CRASH,
    Step.PLATFORM,
    hint=_EXPORT_HINT,
    meaning="The frozen graph that was exported cannot be loaded.",
    fields=("train.image",),
)
SAVED_MODEL_UNUSABLE = _reason(
    "SavedModelUnusable",
    _CRASH,
    Step.PLATFORM,
    hint=_EXPORT_HINT,
    meaning="The SavedModel that was exported cannot be loaded.",
    fields=("train.image",),
)
CONFIG_REFUSED_BY_TRAINER = CONFIG_REFUSED.case(
    message=MESSAGE,
    hint="The trainer image does not know the network's configuration: {change[train.image]}, the operator's own when"
    " the field is left out.",
    step=Step.NEW_RUN,
)
WEIGHTS_NOT_THERE = PRETRAINED_UNUSABLE.case(message=MESSAGE)
NO_VARIABLE_FITS = WEIGHTS_OF_NO_NETWORK.case(message=MESSAGE)
TRAINER_OUT_OF_MEMORY = OUT_OF_MEMORY.case(message=MESSAGE)
TRAINER_DISK_FULL = DISK_FULL.case(message=MESSAGE)
UNKNOWN = _reason(
    "Unknown",
    _CRASH,
    Step.PLATFORM,
    hint=f"{{hint}} {_OWN_IMAGE} {_SHOW}",
    meaning="Stands for a reason that a trainer image of one's own gave itself; it keeps its name.",
    fields=("train.image",),
)
