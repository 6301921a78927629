"""The status of a TrainingRun as types, so that mypy finds a field that the CRD does not have.

Every field may be missing, except those marked `Required`: an older operator may not have written it.
Generated from manifests/crd/trainingruns.trainingrun.dev.yaml by manifests/status_types.py: change it there.
"""

from __future__ import annotations

from typing import Literal, Required, TypedDict


class Status(TypedDict, total=False):
    """Current state of the run, written by the operator only."""

    observedGeneration: int  # The metadata.generation for which the status was computed.
    phase: Literal["Pending", "Queued", "Preparing", "Training", "Exporting", "Succeeded", "Failed", "Suspended"]
    message: str  # What is happening, or why the run waits or failed and what to do next, in one line.
    conditions: list[Condition]
    progress: Progress  # Progress of the running stage.
    storageURI: str  # Folder of the run in the bucket.
    resolvedDigest: str
    resumedFrom: ResumedFrom
    dataset: Dataset  # The prepared data set.
    training: Training  # The training, up to now.
    export: Export  # The exported detector.
    attempts: list[StageAttempts]  # Attempts of each stage. An attempt is one Job with one pod.
    timings: list[StageTimings]  # What each finished stage spent its time on.
    tensorboard: Tensorboard  # TensorBoard of the run.
    retry: int  # The value of spec.retry that the operator last acted on, or refused because the run had not failed.
    finish: bool  # The value of spec.finish to which the operator last answered with an Event; unset after false.
    activeSince: str
    logsURI: str  # Folder in the bucket with the logs of the attempts that have ended.
    startedAt: str  # When the operator first saw the run.
    finishedAt: str  # When the run finished.


class Condition(TypedDict, total=False):
    """A condition of the run."""

    type: Required[str]  # Name of the condition.
    status: Required[Literal["True", "False", "Unknown"]]  # Whether the condition holds.
    reason: Required[str]  # Cause of the status in one word, which programs can rely on.
    message: Required[str]  # Cause of the status in words, and what to do next.
    lastTransitionTime: Required[str]  # When the status of the condition last changed.
    observedGeneration: int  # The metadata.generation for which the condition was computed.


class Progress(TypedDict, total=False):
    """Progress of the running stage."""

    stage: Literal["prep", "train", "export"]  # Name of the stage.
    done: int  # Number of units of the current activity that are done.
    total: int  # Number of units that the current activity has.
    unit: str  # Unit of done and total: images, steps, bytes or files.
    percent: int
    eta: str  # Estimated time left in the stage, evaluations included, such as 4m; absent before it means something.
    etaSeconds: int  # Estimated seconds left in the stage.
    rate: str  # Bytes that are read, checked or written per second, such as 41 MB/s.
    updated: str  # When the stage reported this progress.
    source: Literal["agent", "log"]
    text: str  # Progress in words, such as Training 1200/20000 (6%), or why the pod cannot start.


class ResumedFrom(TypedDict, total=False):
    """The run whose training this one continues, as prep found it in the bucket. Missing without spec.resumeFrom."""

    uri: str  # Folder of that run in the bucket.
    step: int  # Step of its newest complete checkpoint.
    dataset: Literal["Same", "Changed", "Unknown"]


class Dataset(TypedDict, total=False):
    """The prepared data set."""

    digest: str  # Digest of the images and of the settings they were prepared with.
    format: str  # Format in which the labels were read; two formats when train and eval differ.
    images: int  # Number of images to check, while the data set is being prepared.
    savedImages: int
    reused: bool  # Whether a previous run had already prepared the same data set.
    trainImages: int  # Number of images to train on.
    evalImages: int  # Number of images to evaluate on.
    trainObjects: int  # Number of labelled objects in the images to train on.
    evalObjects: int  # Number of labelled objects in the images to evaluate on.
    evalImagesInTrain: int
    evalImagesLikeTrain: int
    errors: int  # Number of findings with severity error in the data report.
    warnings: int  # Number of findings with severity warning in the data report.
    infos: int  # Number of findings with severity info in the data report.
    reportURI: str  # Location in the bucket of the data report as a web page (report.html).
    reportJSONURI: str  # Location in the bucket of the same report for programs (report.json).
    topFindings: list[str]  # The first findings of the data report.


class Training(TypedDict, total=False):
    """The training, up to now."""

    step: int  # Latest step.
    steps: int  # Total number of steps.
    loss: str  # Total loss of the latest step.
    checkpointStep: int  # Step of the newest complete checkpoint in the bucket.
    checkpointURI: str  # Folder of the newest complete checkpoint in the bucket.
    mAP: str  # mAP (mean over IoU 0.5 to 0.95) of the latest evaluation, from 0 to 1 with three decimals.
    ap50: str  # Average precision at IoU 0.5 of the latest evaluation, from 0 to 1 with three decimals.
    configURI: str  # The pipeline.config of the Object Detection API that the run is trained with.
    configChanges: int  # Number of fields of pipeline.config that differ from the default of the network.
    configChangesURI: str
    best: Best  # The best evaluation by train.metric, over all attempts.
    stoppedBy: Literal["earlyStopping", "finish", "maxDuration"]
    keptCheckpoints: list[int]
    batchSize: int  # Images per step after train.onOutOfMemory has halved the batch; unset before.
    learningRate: str  # Highest learning rate after train.onDivergence has halved it; unset before.
    learningRateFactor: float  # Factor by which train.onDivergence has lowered every learning rate; unset before.
    resumedFromStep: int  # Step of the checkpoint from which the current attempt resumed.
    stepsLost: int
    restored: Restored  # Variables of the network, without the optimizer's, at the first step.
    interruptions: int
    gpuSeconds: GpuSeconds


class Best(TypedDict, total=False):
    """The best evaluation by train.metric, over all attempts."""

    step: Required[int]  # Step of the checkpoint that was evaluated.
    mAP: Required[str]  # mAP (mean over IoU 0.5 to 0.95), from 0 to 1 with three decimals.
    ap50: Required[str]  # Average precision at IoU 0.5, from 0 to 1 with three decimals.


class Restored(TypedDict, total=False):
    """Variables of the network, without the optimizer's, at the first step."""

    loaded: Required[int]  # Number of variables that were loaded from the weights of model.pretrained.
    total: Required[int]  # Number of variables of the network.
    startsAnew: str


class GpuSeconds(TypedDict, total=False):
    """GPU-seconds of the attempts that have ended. The sum is how long pods held GPUs; missing without a GPU."""

    useful: int  # For steps that are kept, with evaluations and saves.
    lost: int  # For steps that came after the last checkpoint.
    waiting: int


class Export(TypedDict, total=False):
    """The exported detector."""

    uri: str  # Folder of the export in the bucket.
    frozenGraphURI: str  # Location of the frozen graph in the bucket.
    savedModelURI: str  # Folder of the SavedModel in the bucket.
    checkpointStep: int  # Step of the checkpoint that was exported.
    checkpointReason: str  # Why this checkpoint was exported, such as best by mAP.
    mAP: str  # mAP (mean over IoU 0.5 to 0.95) of the exported detector, from 0 to 1 with three decimals.
    ap50: str  # Average precision at IoU 0.5 of the exported detector, from 0 to 1 with three decimals.
    mAPUncertainty: str
    ap50Uncertainty: str
    evalImages: int  # Number of evaluation images on which the exported detector was tested.


class StageAttempts(TypedDict, total=False):
    """The attempts of one stage."""

    stage: Required[Literal["prep", "train", "export"]]  # Name of the stage.
    number: int  # Number of the current or latest attempt, from 1.
    ended: int  # Number of attempts that have ended and were counted.
    jobUID: str
    changes: Changes  # What the current or latest attempt does otherwise than the spec says; unset if it does not.
    failures: dict[str, int]
    checkpointStep: int  # Step of the newest checkpoint that an ended attempt left.
    savedImages: int
    lastOutcome: str  # Outcome of the latest attempt that ended.
    lastReason: str  # Reason of the latest attempt that ended.
    lastMessage: str  # Message of the latest attempt that ended.
    startedAt: str
    ranAt: str  # When all containers of the current or latest attempt were first seen started.
    nextRetryAt: str  # When the next attempt starts.
    history: list[AttemptEnd]
    older: dict[str, int]  # Number of attempts by outcome that ended before those in history.


class Changes(TypedDict, total=False):
    """What the current or latest attempt does otherwise than the spec says; unset if it does not."""

    finish: bool  # Whether it ends training because spec.finish is true.
    batchSize: int  # Images per step.
    learningRateFactor: float  # Factor of every learning rate.


class AttemptEnd(TypedDict, total=False):
    """One attempt that ended."""

    number: Required[int]  # Number of the attempt.
    startedAt: str  # When the attempt was created.
    endedAt: str  # When its last container ended, or the attempt was given up.
    node: str  # Node of its pod.
    outcome: str  # Its outcome; also suspended, and replaced for an attempt that never ran.
    reason: str  # Its reason.
    exitCode: int  # Exit code of the container that failed, or 0.
    fromStep: int  # Step at which its training started.
    toStep: int  # Last step that it is known to have reached.


class StageTimings(TypedDict, total=False):
    """Times of one stage."""

    stage: Required[Literal["prep", "train", "export"]]  # Name of the stage.
    waitingSeconds: float  # Seconds spent waiting for a node or a container.
    imageSeconds: float  # Seconds spent pulling images.
    fetchSeconds: float  # Seconds spent downloading from the bucket.
    workSeconds: float  # Seconds spent on the work of the stage.
    shipSeconds: float  # Seconds spent uploading to the bucket after the work.
    totalSeconds: float  # Seconds from the creation of the Job to its end.
    peakMemoryBytes: PeakMemoryBytes  # Most memory that the processes of the latest attempt have held.


class PeakMemoryBytes(TypedDict, total=False):
    """Most memory that the processes of the latest attempt have held."""

    agent: int  # Bytes of container agent.
    trainer: int  # Bytes of container trainer or exporter.


class Tensorboard(TypedDict, total=False):
    """TensorBoard of the run."""

    serviceName: str  # Name of the Service in the run's namespace.
    url: str  # Address of TensorBoard inside the cluster.
    expiresAt: str  # When TensorBoard is removed.
    message: str  # Why TensorBoard is not there now.
    returnsAt: str  # When TensorBoard comes back at the earliest.
    yields: int  # Number of times that TensorBoard was removed to make room or was refused.
