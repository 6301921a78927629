"""Turns an error of TensorFlow or the Object Detection API into an outcome, a reason and a hint for done.json."""

import errno
import re
from typing import Dict


class TrainerError(Exception):
    """An end of the trainer with a known cause: the fields `outcome`, `reason`, `message` and `hint` of done.json."""

    def __init__(self, outcome: str, reason: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.outcome, self.reason, self.message, self.hint = outcome, reason, message, hint

    def document(self) -> Dict[str, str]:
        """The fields of done.json, within the lengths that its schema allows."""
        return {"outcome": self.outcome, "reason": self.reason, "message": self.message[:1500], "hint": self.hint[:600]}


# Pattern in the text of an error, outcome, reason, hint. The first pattern that matches decides.
SIGNATURES = (
    (r"No space left on device", "diskFull", "DiskFull", "Raise train.scratch."),
    (r"OOM when allocating|ResourceExhausted|CUDA_ERROR_OUT_OF_MEMORY", "outOfMemory", "DeviceOutOfMemory",
     "Lower train.batchSize."),
    (r"NaN loss|Model diverged|LossTensor is inf or nan|Inf or NaN", "diverged", "Diverged",
     "Lower train.learningRate, or look for wrong boxes in the data report."),
    (r"maximum box coordinate value", "userError", "BoxOutsideImage",
     "A box lies outside its image: report.json names it."),
    (r"Unable to decode bytes as|Invalid JPEG data|Invalid PNG data|input must be 4-dimensional", "userError",
     "ImageUnreadable", "A record holds an image that TensorFlow cannot decode: prepare the data set again."),
    (r"Did not find any input files|corrupted record at|truncated record at", "userError", "RecordsUnreadable",
     "The TFRecords of the data set are missing or damaged: prepare the data set again."),
    (r"Signature mismatch\. Keys must be dtype|a bytes-like object is required", "userError", "LabelMapRefused",
     "label_map.pbtxt is empty or cannot be parsed: prepare the data set again."),
    (r"Number of feature maps is expected|Unknown ssd feature_extractor|has no field named", "userError",
     "ConfigRefused", "This trainer image does not know this network's configuration: use the operator's own image."),
    (r"mismatch between the current graph and the graph|Assign requires shapes|lhs shape", "userError",
     "CheckpointMismatch", "The checkpoint belongs to another network or to other classes."),
    (r"is not a valid checkpoint|not an sstable|Failed to get matching files|Unable to open table file|Data loss",
     "userError", "CheckpointUnreadable", "The checkpoint cannot be read: use another one."),
    (r"CUDNN_STATUS|CUDA driver|no kernel image is available|cudaError", "gpuUnfit", "GPUUnfit",
     "Use a trainer image whose TensorFlow supports this GPU (train.image)."),
)  # fmt: skip


def classify(error: BaseException) -> TrainerError:
    """The TrainerError for any exception: itself, the first signature that matches, or a crash."""
    if isinstance(error, TrainerError):
        return error
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        text = f"No space left on device: {text}"
    if isinstance(error, MemoryError):
        return TrainerError("outOfMemory", "OutOfMemory", text, "Raise train.pod.resources.limits.memory.")
    for pattern, outcome, reason, hint in SIGNATURES:
        if re.search(pattern, text):
            return TrainerError(outcome, reason, _first_lines(text), hint)
    return TrainerError("crash", "Exception", _first_lines(text), "The log of the trainer shows the whole traceback.")


def _first_lines(text: str) -> str:
    """The first three lines that are not empty, as one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:3])[:1200]
