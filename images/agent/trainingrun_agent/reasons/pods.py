"""Reasons that pods give: ends of the agent itself, of its disk and memory, and of the container beside it."""

from __future__ import annotations

from trainingrun_agent.reasons.entry import Outcome, Reason, Step

_DONE, _CRASH = Outcome.SUCCEEDED, Outcome.CRASH
_SEE_LOG = "See the log of container {container}, which is also below status.logsURI"
_OWN_IMAGE = "if {field[train.image]} is an image of your own, check it; else"
_SHOW = "give your platform team the log of container {container}."


def _success(name: str, message: str, meaning: str) -> Reason:
    return Reason(name, _DONE, Step.WAIT, message, "", meaning)


PREPARED = _success("Prepared", "Prepared {images}.", "The data set is in the bucket.")
PREPARED_BEFORE = PREPARED.case(message="An earlier attempt prepared {images}.")
TRAINED = _success("Trained", "Trained {steps} steps.", "The last checkpoint is in the bucket.")
TRAINED_IN_PART = {
    by: TRAINED.case(message=f"Trained {{step}} of {{steps}} steps: {why}.")
    for by, why in (
        ("earlyStopping", "evaluations no longer got better ({field[train.earlyStopping]})"),
        ("finish", "{field[finish]} asked for the end"),
        ("maxDuration", "{field[train.maxDuration]} was over"),
    )
}
EXPORTED = _success("Exported", "Exported the checkpoint of step {step}.", "The model is in the bucket.")
ALREADY_TRAINED = _success(
    "AlreadyTrained",
    "Training had ended in epoch {epoch}; nothing was left to do.",
    "An attempt before this one had trained and could not report it.",
)
ALREADY_EXPORTED = _success(
    "AlreadyExported",
    "The export had ended in epoch {epoch}; nothing was left to do.",
    "An attempt before this one had exported and could not report it.",
)
STOPPED = _success("Stopped", "SIGTERM arrived.", "The mirror for TensorBoard got SIGTERM; nobody reads its verdict.")

INTERRUPTED = Reason(
    "Interrupted",
    Outcome.INTERRUPTED,
    Step.WAIT,
    message="SIGTERM arrived before the data set was complete",
    hint="Nothing to do: the next attempt starts by itself.",
    meaning="The pod got SIGTERM, as when it is evicted or deleted, or its node drained. Finished work is kept.",
)
STOPPED_WHILE_FETCHING = INTERRUPTED.case(
    message="SIGTERM arrived during the fetch", hint="Nothing to do: the next attempt fetches again."
)
STOPPED_WHILE_MOVING = INTERRUPTED.case(
    message="SIGTERM arrived while {doing}", hint="Nothing to do: the next attempt does it again."
)
STOPPED_WHILE_TRAINING = INTERRUPTED.case(
    message="SIGTERM arrived{position}.", hint="Nothing to do: the next attempt resumes from the newest checkpoint."
)
STOPPED_IN_OUTAGE = INTERRUPTED.case(
    message="SIGTERM arrived while storage did not answer: {outage}",
    hint="Nothing to do: the next attempt starts by itself. If the outage lasts, look at the storage server.",
)
STOPPED_WHILE_REFUSED = INTERRUPTED.case(
    message="SIGTERM arrived while storage refused what it had allowed before: {outage}",
    hint="Correct access to the bucket: the next attempt starts by itself, and fails at once if it is refused too.",
)
STOPPED_WHILE_HANGING = INTERRUPTED.case(
    message="SIGTERM arrived in phase {phase}, and the agent could not end in time, as when storage gives no answer",
    hint="Nothing to do: the next attempt starts by itself. If it ends so again, look at the storage server.",
)
GRACE_PERIOD_OVER = INTERRUPTED.case(
    message="the grace period of {seconds} s was over before everything was uploaded.",
    hint="Nothing to do: the next attempt resumes from the newest checkpoint in the bucket. Where pods are ended often,"
    " give runs a higher {field[train.terminationGracePeriodSeconds]}.",
    fields=("train.terminationGracePeriodSeconds",),
)
SUPERSEDED = Reason(
    "Superseded",
    Outcome.INTERRUPTED,
    Step.WAIT,
    message="a later pod claimed epoch {newest} of this run; this one, of epoch {epoch}, publishes nothing more",
    hint="Nothing is lost: the later pod resumes from the newest checkpoint.",
    meaning="The pod was given up, for example because its node did not answer, and another one took its place.",
)
STALLED = Reason(
    "Stalled",
    Outcome.STALLED,
    Step.RETRY,
    message="Container {container} was ended because {complaint}{position}.",
    hint="See its log and the stacks for what it waits for, then {retry} to resume from the newest checkpoint. If steps"
    " really take that long, {higher[train.stallSeconds]}.",
    meaning="The trainer or exporter made no progress within train.stallSeconds, or gave no sign of life for a minute.",
    fields=("train.stallSeconds",),
)
OUT_OF_MEMORY = Reason(
    "OutOfMemory",
    Outcome.OUT_OF_MEMORY,
    Step.NEW_RUN,
    message="{message}",
    hint="{higher[stage.pod.resources.limits.memory]}.",
    meaning="A program of the pod needed more memory than its limit.",
    fields=("stage.pod.resources.limits.memory",),
)
PREP_OUT_OF_MEMORY = OUT_OF_MEMORY.case(message="container agent ran out of memory")
AGENT_OUT_OF_MEMORY = OUT_OF_MEMORY.case(
    message="container agent ran out of memory",
    hint="The operator sets its memory limit: give your platform team this message.",
    step=Step.PLATFORM,
    fields=(),
)
DISK_FULL = Reason(
    "DiskFull",
    Outcome.DISK_FULL,
    Step.NEW_RUN,
    message="no space left on the disk of {here} for {what}",
    hint="{higher[stage.scratch]}.",
    meaning="The scratch space of the pod is used up.",
    fields=("stage.scratch",),
)
DISK_FULL_OF_RECORDS = DISK_FULL.case(
    message="no space left while writing {what}",
    hint="Prepared records need about as much scratch space as the images: {higher[stage.scratch]}.",
)
DISK_FULL_OF_LABELS = DISK_FULL.case(
    message="no space left while writing {what}",
    hint="The index of the labels needs about as much scratch space as they do: {higher[stage.scratch]}.",
)
FOLDER_FULL = DISK_FULL.case(message="{what}: {problem}", hint="Free some space, or choose a folder on another disk.")
UNEXPECTED_ERROR = Reason(
    "UnexpectedError",
    _CRASH,
    Step.PLATFORM,
    message="{kind} at {file}:{line} in {function}",
    hint="The traceback is in the log of container agent: give it to your platform team.",
    meaning="The agent ended with an unexpected error: a bug.",
)
CONTRACT_MISMATCH = Reason(
    "ContractMismatch",
    _CRASH,
    Step.NEW_RUN,
    message="{problem}",
    hint="Operator and agent are not compatible: ask your platform team to run both from the same release. Then"
    " {new_run}: this one keeps its images.",
    meaning="The agent does not understand what the operator gave it.",
)
OTHER_DOCUMENT = Reason(
    "OtherConfigMap",
    _CRASH,
    Step.RETRY,
    message="resolved.json in the pod is not the one with which the run was accepted: its SHA-256 is {found}…, not"
    " {accepted}…",
    hint="Somebody replaced the ConfigMap <run>-resolved-<uid>: find out who, delete it if it is still there, and"
    " {retry}.",
    meaning="A ConfigMap was put in the place of the run's own. The pod used nothing of it.",
)
TRAINER_DIED = Reason(
    "TrainerDied",
    _CRASH,
    Step.RETRY,
    message="Container {container} ended without done.json{position}.",
    hint=f"{_SEE_LOG}; out of memory shows in its state as OOMKilled. Then {{retry}} to resume from the newest"
    " checkpoint.",
    meaning="The trainer's process ended without saying how: killed, or crashed below Python.",
    fields=("train.image",),
)
EXPORTER_DIED = Reason(
    "ExporterDied",
    _CRASH,
    Step.RETRY,
    message=TRAINER_DIED.message,
    hint=f"{_SEE_LOG}; out of memory shows in its state as OOMKilled. Then {{retry}}.",
    meaning="The exporter's process ended without saying how: killed, or crashed below Python.",
    fields=("train.image",),
)
EXPORTER_DONE_TOO_EARLY = EXPORTER_DIED.case(
    message="Container exporter reported success before it had its work.",
    hint=f"Container exporter did not do its work: {_OWN_IMAGE} {_SHOW}",
    step=Step.PLATFORM,
)
DIED = {"trainer": TRAINER_DIED, "exporter": EXPORTER_DIED}
FINAL_CHECKPOINT_MISSING = Reason(
    "FinalCheckpointMissing",
    _CRASH,
    Step.PLATFORM,
    message="The trainer reports success, but left no complete checkpoint of step {steps}.",
    hint=f"A trainer image of your own has to write ready/<step>.json: {_OWN_IMAGE} {_SHOW}",
    meaning="The trainer reported success without the checkpoint of the last step.",
    fields=("train.image",),
)
EXPORT_INCOMPLETE = Reason(
    "ExportIncomplete",
    _CRASH,
    Step.PLATFORM,
    message="The exporter's result cannot be used: {problem}.",
    hint=f"The exporter did not do its work: {_OWN_IMAGE} {_SHOW}",
    meaning="The exporter reported success, but a file or a number of the export is missing.",
    fields=("train.image",),
)
DATASET_LOST = Reason(
    "DatasetLost",
    Outcome.STORAGE_REFUSED,
    Step.RETRY,
    message="the prepared data set is lost or damaged: {problem}{more}",
    hint="Find out what deletes or damages objects of the bucket, such as a lifecycle rule or a disk; then {retry}:"
    " what is lost is prepared again, and training goes on from its newest checkpoint.",
    meaning="An object of the prepared data set was deleted, or its bytes are not those that were written. The run"
    " prepares the data set again from the images and goes on from its newest checkpoint. It fails if this happens"
    " again and again.",
)
RESULT_MISSING = Reason(
    "ResultMissing",
    _CRASH,
    Step.RETRY,
    message="training had ended, but has no result at {place}",
    hint="It was deleted or damaged: {retry}, and training goes on from the newest checkpoint in the bucket.",
    meaning="The result of training, which had ended, is not in the bucket any more.",
)
CHECKPOINT_MISSING = Reason(
    "CheckpointMissing",
    _CRASH,
    Step.RETRY,
    message="training had ended, but there is no complete checkpoint below {place}",
    hint="The checkpoints were deleted or damaged: {retry} to train again from the beginning.",
    meaning="Training had ended, but none of its checkpoints is in the bucket any more.",
)
