"""Turns an error of TensorFlow or the Object Detection API into an outcome and a reason for done.json.

Which step helps is not known here: the agent's table of reasons has it.
"""

import errno
import re
from typing import Dict


class TrainerError(Exception):
    """An end of the trainer with a known cause: the fields `outcome`, `reason` and `message` of done.json."""

    def __init__(self, outcome: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.outcome, self.reason, self.message = outcome, reason, message

    def document(self) -> Dict[str, str]:
        """The fields of done.json, within the lengths that its schema allows."""
        return {"outcome": self.outcome, "reason": self.reason, "message": self.message[:1500]}


# Pattern in the text of an error, outcome, reason. The first pattern that matches decides.
SIGNATURES = (
    (r"No space left on device", "diskFull", "DiskFull"),
    (r"OOM when allocating|ResourceExhausted|CUDA_ERROR_OUT_OF_MEMORY|CU(BLAS|DNN)_STATUS_ALLOC_FAILED|"
     r"Dst tensor is not initialized", "outOfMemory", "DeviceOutOfMemory"),
    (r"NaN loss|Model diverged|LossTensor is inf or nan|Inf or NaN", "diverged", "Diverged"),
    (r"maximum box coordinate value", "userError", "BoxOutsideImage"),
    (r"Unable to decode bytes as|Invalid JPEG data|Invalid PNG data|input must be 4-dimensional", "userError",
     "ImageUnreadable"),
    (r"Did not find any input files|corrupted record at|truncated record at", "userError", "RecordsUnreadable"),
    (r"Signature mismatch\. Keys must be dtype|a bytes-like object is required", "userError", "LabelMapRefused"),
    (r"Number of feature maps is expected|Unknown ssd feature_extractor|has no field named", "userError",
     "ConfigRefused"),
    (r"mismatch between the current graph and the graph|Assign requires shapes|lhs shape", "userError",
     "CheckpointMismatch"),
    (r"is not a valid checkpoint|not an sstable|Failed to get matching files|Unable to open table file|Data loss",
     "userError", "CheckpointUnreadable"),
    (r"CUDNN_STATUS|CUBLAS_STATUS|cublas handle|cuDNN failed to initialize|Blas \w+ launch failed|without BLAS support|"
     r"CUDA driver|cudaError|no kernel image is available|device kernel image is invalid|CUDA_ERROR_NO_BINARY_FOR_GPU|"
     r"CUDA_ERROR_(INVALID|UNSUPPORTED)_PTX", "gpuUnfit", "GPUUnfit"),
)  # fmt: skip


def classify(error: BaseException) -> TrainerError:
    """The TrainerError for any exception: itself, the first signature that matches, or a crash."""
    if isinstance(error, TrainerError):
        return error
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        text = f"No space left on device: {text}"
    if isinstance(error, MemoryError):
        return TrainerError("outOfMemory", "OutOfMemory", text)
    for pattern, outcome, reason in SIGNATURES:
        if re.search(pattern, text):
            return TrainerError(outcome, reason, _first_lines(text))
    return TrainerError("crash", "Exception", _first_lines(text))


def _first_lines(text: str) -> str:
    """The first three lines that are not empty, as one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:3])[:1200]
