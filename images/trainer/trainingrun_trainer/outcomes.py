"""Name how a trainer ended: errors of TensorFlow and the Object Detection API, mapped to the outcomes of a verdict."""

import errno
import re


class TrainerError(Exception):
    """An end that we can name; `outcome`, `reason`, `message` and `hint` as in done.json."""

    def __init__(self, outcome, reason, message, hint=""):
        # type: (str, str, str, str) -> None
        super(TrainerError, self).__init__(message)
        self.outcome, self.reason, self.message, self.hint = outcome, reason, message, hint

    def document(self):
        # type: () -> dict
        """Fields of done.json."""
        return {"outcome": self.outcome, "reason": self.reason, "message": self.message[:1500], "hint": self.hint[:600]}


# What the text of an error says, in the order it is looked for: pattern, outcome, reason, hint.
SIGNATURES = (
    (r"No space left on device", "diskFull", "DiskFull", "Raise train.scratch."),
    (r"OOM when allocating|ResourceExhausted|CUDA_ERROR_OUT_OF_MEMORY", "outOfMemory", "DeviceOutOfMemory",
     "Lower train.batchSize."),
    (r"NaN loss|Model diverged|LossTensor is inf or nan|Inf or NaN", "diverged", "Diverged",
     "Lower train.learningRate, or look for bad boxes in the data report."),
    (r"maximum box coordinate value", "userError", "BoxOutsideImage", "A box lies outside its image: see report.json."),
    (r"Unable to decode bytes as|Invalid JPEG data|Invalid PNG data|input must be 4-dimensional", "userError",
     "ImageUnreadable", "A record holds an image that TensorFlow cannot decode: prepare the data set again."),
    (r"Did not find any input files|corrupted record at|truncated record at", "userError", "RecordsUnreadable",
     "The TFRecords of the data set are missing or damaged: prepare the data set again."),
    (r"Signature mismatch\. Keys must be dtype|a bytes-like object is required", "userError", "LabelMapRefused",
     "label_map.pbtxt is empty or cannot be parsed: prepare the data set again."),
    (r"Number of feature maps is expected|Unknown ssd feature_extractor|has no field named", "userError",
     "ConfigRefused", "This trainer image does not know the network's configuration: use the operator's own image."),
    (r"mismatch between the current graph and the graph|Assign requires shapes|lhs shape", "userError",
     "CheckpointMismatch", "The checkpoint was made by another network or other classes."),
    (r"is not a valid checkpoint|not an sstable|Failed to get matching files|Unable to open table file|Data loss",
     "userError", "CheckpointUnreadable", "The checkpoint cannot be read: take another one."),
    (r"CUDNN_STATUS|CUDA driver|no kernel image is available|cudaError", "gpuUnfit", "GPUUnfit",
     "Use a trainer image whose TensorFlow serves this GPU (train.image)."),
)  # fmt: skip


def classify(error):
    # type: (BaseException) -> TrainerError
    """Give any exception an outcome."""
    if isinstance(error, TrainerError):
        return error
    text = "{}: {}".format(type(error).__name__, error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        text = "No space left on device: {}".format(text)
    if isinstance(error, MemoryError):
        return TrainerError("outOfMemory", "OutOfMemory", text, "Raise the memory limit of train.pod.resources.")
    for pattern, outcome, reason, hint in SIGNATURES:
        if re.search(pattern, text):
            return TrainerError(outcome, reason, _first_line(text), hint)
    return TrainerError("crash", "Exception", _first_line(text), "The whole traceback is in the trainer's log.")


def _first_line(text):
    # type: (str) -> str
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:3])[:1200]
