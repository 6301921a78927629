"""The status of a TrainingRun as types, so that mypy finds a field that the CRD does not have.

Every field may be missing, but for those that are marked `Required`: an older operator may not have written it.
Generated from manifests/crd/trainingruns.trainingrun.dev.yaml by manifests/status_types.py: change it there.
"""

from __future__ import annotations

from typing import Literal, Required, TypedDict


class Status(TypedDict, total=False):
    """Where the run is. Written by the operator only."""

    observedGeneration: int  # metadata.generation the status was computed from.
    phase: Literal["Pending", "Queued", "Preparing", "Training", "Exporting", "Succeeded", "Failed", "Suspended"]
    message: str  # One line: what is happening, or why it waits or failed and what to do next.
    conditions: list[Condition]
    progress: Progress  # How far the running stage is.
    storageURI: str  # Address in the bucket.
    dataset: Dataset  # The prepared data set.
    training: Training  # The training.
    export: Export  # The exported detector.
    attempts: list[StageAttempts]  # Attempts by stage. One attempt is one Job and one pod.
    timings: list[StageTimings]  # Where the time of each finished stage went.
    tensorboard: Tensorboard  # TensorBoard of the run.
    retry: int  # The spec.retry that has been acted on.
    startedAt: str  # When the run was accepted.
    finishedAt: str  # When the run finished.


class Condition(TypedDict, total=False):
    """One observation about the run."""

    type: Required[str]  # Name of the condition.
    status: Required[Literal["True", "False", "Unknown"]]  # Whether it holds.
    reason: Required[str]  # One word for the cause, stable for programs.
    message: Required[str]  # The cause in words, and what to do next.
    lastTransitionTime: Required[str]  # When status last changed.
    observedGeneration: int  # metadata.generation the condition was computed from.


class Progress(TypedDict, total=False):
    """How far the running stage is."""

    stage: Literal["prep", "train", "export"]  # Stage.
    done: int  # Units done.
    total: int  # Units in all.
    unit: str  # What is counted: images, steps, bytes or files.
    percent: int  # Percent done.
    eta: str  # Time left in the stage, such as 4m.
    etaSeconds: int  # Seconds left in the stage.
    rate: str  # How fast bytes are read, checked or written, such as 41 MB/s.
    updated: str  # When the stage said so.
    source: Literal["agent", "log"]
    text: str  # Progress in words, such as Training 1200/20000 (6%), or what keeps the pod from starting.


class Dataset(TypedDict, total=False):
    """The prepared data set."""

    digest: str  # Digest of the images and the way they were prepared.
    format: str  # Format of the labels as they were read; both, where train and eval differ.
    reused: bool  # Whether an earlier run had prepared the same data set.
    trainImages: int  # Count.
    evalImages: int  # Count.
    trainObjects: int  # Count.
    evalObjects: int  # Count.
    errors: int  # Count.
    warnings: int  # Count.
    infos: int  # Count.
    reportURI: str  # Address in the bucket of the report for people, one page for a browser.
    reportJSONURI: str  # Address in the bucket of the same report for programs.
    topFindings: list[str]  # The first findings of the report.


class Training(TypedDict, total=False):
    """The training."""

    step: int  # Newest step.
    steps: int  # Steps asked for.
    loss: str  # Newest total loss.
    checkpointStep: int  # Step of the newest complete checkpoint in the bucket.
    checkpointURI: str  # Address in the bucket.
    mAP: str  # Average precision, 0 to 1 with three decimals.
    ap50: str  # Average precision, 0 to 1 with three decimals.
    resumedFromStep: int  # Step of the checkpoint the current attempt went on from.
    stepsLost: int  # Steps trained again since they were after the last checkpoint.


class Export(TypedDict, total=False):
    """The exported detector."""

    uri: str  # Address in the bucket.
    frozenGraphURI: str  # Address in the bucket.
    savedModelURI: str  # Address in the bucket.
    checkpointStep: int  # Step of the checkpoint that was exported.
    mAP: str  # Average precision, 0 to 1 with three decimals.
    ap50: str  # Average precision, 0 to 1 with three decimals.
    evalImages: int  # Count.


class StageAttempts(TypedDict, total=False):
    """Attempts of a stage."""

    stage: Required[Literal["prep", "train", "export"]]  # Stage.
    number: int  # Number of the current or last attempt, from 1.
    ended: int  # Attempts whose end has been counted.
    failures: dict[str, int]
    checkpointStep: int  # Newest checkpoint that an ended attempt left.
    lastOutcome: str  # Outcome of the last ended attempt.
    lastReason: str  # Reason of the last ended attempt.
    lastMessage: str  # Message of the last ended attempt.
    startedAt: str  # When the current or last attempt was created.
    nextRetryAt: str  # When the next attempt starts.


class StageTimings(TypedDict, total=False):
    """Seconds of a stage."""

    stage: Required[Literal["prep", "train", "export"]]  # Stage.
    waitingSeconds: float  # Seconds without a node or a container.
    imageSeconds: float  # Seconds spent pulling images.
    fetchSeconds: float  # Seconds spent reading from the bucket.
    workSeconds: float  # Seconds spent on the work itself.
    shipSeconds: float  # Seconds spent writing to the bucket after the work.
    totalSeconds: float  # Seconds from the creation of the Job to its end.


class Tensorboard(TypedDict, total=False):
    """TensorBoard of the run."""

    serviceName: str  # Service in the run's namespace.
    url: str  # Address inside the cluster.
    expiresAt: str  # When it is removed.
