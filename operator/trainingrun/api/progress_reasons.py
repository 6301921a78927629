"""The part of the table of reasons that says how a run goes on, with nothing wrong: see reasons.py."""

from __future__ import annotations

from typing import Final

from trainingrun.api.reason import Group, Reason, Step


def _progress(name: str, meaning: str) -> Reason:
    return Reason(name, Group.PROGRESS, meaning)


ACCEPTED: Final = _progress("Accepted", "The spec is valid and allowed; its ConfigMap is written.")
ATTEMPT_STARTED: Final = _progress("AttemptStarted", "The Job of an attempt was created.")
RUNNING: Final = _progress("Running", "The stage, or the run, has not ended.")
WAITING: Final = _progress("Waiting", "The run is not accepted yet: the condition Accepted says what it waits for.")
SUSPENDED: Final = Reason(
    "Suspended",
    Group.PROGRESS,
    "spec.suspend is true: the attempt was ended, after saving a checkpoint, and none is started.",
    Step.WAIT,
    "Set spec.suspend to false to continue from what is in the bucket.",
    ("suspend",),
)
SUSPENDING: Final = _progress("Suspending", "spec.suspend is true: the attempt that runs saves a checkpoint and ends.")
RESUMED: Final = _progress("Resumed", "spec.suspend is false again: the stage goes on from what is in the bucket.")
ATTEMPT_DELAYED: Final = _progress(
    "AttemptDelayed",
    "The next attempt starts later: after the back-off of the one before it, or when that one's pod has ended.",
)
RETRY: Final = _progress(
    "Retry", "spec.retry was raised: the failed run goes on with fresh budgets, or a run is accepted anew."
)
RETRY_IGNORED: Final = _progress(
    "RetryIgnored", "An Event: spec.retry was raised, or is above 0 in a new run, and the run has not failed."
)
TENSORBOARD_YIELDS: Final = _progress(
    "TensorBoardYields",
    "An Event: TensorBoard was removed because a pod of the namespace has no room. status.tensorboard says when it "
    "comes back.",
)
RESULTS_LOST: Final = _progress(
    "ResultsLost",
    "A later stage found the results of this one lost or damaged in the bucket: it runs again and makes what is lost.",
)
FINISHING: Final = _progress(
    "Finishing",
    "spec.finish was set: the attempt that trains saves a checkpoint and ends; the next one evaluates it. An Event "
    "says when training ends.",
)
FINISH_TAKEN_BACK: Final = _progress(
    "FinishTakenBack", "An Event: spec.finish is false again before training has ended, so it goes on."
)
FINISH_IGNORED: Final = _progress(
    "FinishIgnored",
    "An Event: spec.finish was set, and training has ended already, or the run is one of an earlier version.",
)
FINISHED_EARLY: Final = _progress(
    "FinishedEarly",
    "Training ended before its last step because spec.finish was set. A run has this reason also if "
    "spec.train.maxDuration has passed.",
)
MAX_DURATION_REACHED: Final = _progress(
    "MaxDurationReached", "Training ended before its last step because spec.train.maxDuration has passed."
)
EARLY_STOPPED: Final = _progress(
    "EarlyStopped",
    "Training ended before its last step because its evaluations no longer got better (spec.train.earlyStopping).",
)
GATE_MET: Final = _progress("GateMet", "The exported detector reaches every score of spec.export.gate.")
GATE_MISSED: Final = _progress(
    "GateMissed",
    "The exported detector does not reach a score of spec.export.gate; the message names the scores. The run has "
    "succeeded all the same.",
)
USABLE: Final = _progress("Usable", "The last attempt could use the storage.")
WARNING: Final = _progress("Warning", "The storage can be used, with the restriction in the message.")
COMPLETED: Final = _progress("Completed", "The stage, or the run, has ended with its results in the bucket.")
NOT_REPORTED: Final = _progress(
    "NotReported",
    "The attempt that runs has not reported whether it can use the storage; or an export did not report whether it "
    "reaches spec.export.gate.",
)
SUCCEEDED: Final = _progress("Succeeded", "The run has ended with all results.")
FAILED: Final = _progress("Failed", "The run has failed: the condition Succeeded has the reason and the next step.")
PREPARED: Final = _progress("Prepared", "An Event: the data set is in the bucket.")
TRAINING_STARTED: Final = _progress(
    "TrainingStarted",
    "An Event: how many variables of the network were loaded from the weights of model.pretrained, or from which "
    "checkpoint the attempt resumes. It is a Warning if most of the network starts from random numbers all the same.",
)
