"""Names of files and folders in the shared folder, as in images/contracts/README.md."""

from __future__ import annotations

SPEC = "spec.json"
FETCH_FAILED = "fetch-failed.json"
PIPELINE_CONFIG = "pipeline.config"
DATASET = "dataset"
LABEL_MAP = "label_map.pbtxt"
PRETRAINED = "pretrained"
MODEL = "model"
CHECKPOINT = "checkpoint"
EXPORT = "export"
PROGRESS = "progress.json"
READY = "ready"
EVALUATIONS = "evaluations.json"
STACKS = "stacks.txt"
LOG, LOG_BEFORE = "trainer.log", "trainer.log.1"
DONE = "done.json"
LOCK = "trainer.lock"
STARTED = "trainer.started"
SPOOL = "spool"
LOGS = "logs"
"""TensorBoard's logdir, in the pod of the mirror."""


def ready_file(step: int) -> str:
    """Name in `ready/` of the file that calls the checkpoint of `step` complete."""
    return f"{step:08d}.json"
