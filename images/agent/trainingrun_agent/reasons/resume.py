"""Reasons that the run to continue gives (spec.resumeFrom)."""

from __future__ import annotations

from trainingrun_agent.reasons.entry import Outcome, Reason, Step

_USER = Outcome.USER_ERROR
_FIELDS = ("resumeFrom.uri", "resumeFrom.run")
_INSTEAD = "start from its export with {field[model.pretrained]} instead of {field[resumeFrom]}"

RESUME_NOT_FOUND = Reason(
    "ResumeFromNotFound",
    _USER,
    Step.NEW_RUN,
    message="{field[resumeFrom]}: no object below {place}",
    hint="{change[resumeFrom.uri]}: status.storageURI of the run to continue, as it was there (case matters).",
    meaning="There is nothing in the bucket at the address of the run to continue.",
    fields=_FIELDS,
)
RESUME_NO_CHECKPOINT = Reason(
    "ResumeFromNoCheckpoint",
    _USER,
    Step.NEW_RUN,
    message="{field[resumeFrom]}: {place} has no complete checkpoint below train/",
    hint=f"{{change[resumeFrom]}}: a run whose checkpoints are still there. If that run has exported a model,"
    f" {{new_run}}: {_INSTEAD}.",
    meaning="The run to continue has saved no checkpoint, or its checkpoints were deleted, or the folder is no run's.",
    fields=_FIELDS,
)
RESUME_CHECKPOINTS_GONE = RESUME_NO_CHECKPOINT.case(
    message="{field[resumeFrom]}: the checkpoints below {place}train/ were there when this run began, and are gone",
    hint="Put a checkpoint back, then {retry}; or {new_run} without {field[resumeFrom]}.",
    step=Step.RETRY,
)
RESUME_UNREADABLE = Reason(
    "ResumeFromUnreadable",
    _USER,
    Step.RETRY,
    message="{field[resumeFrom]}: {place} cannot be read{problem}, so nobody can tell whether it fits this run",
    hint=f"Put it back, then {{retry}}; or {{new_run}}: {_INSTEAD}.",
    meaning="The folder of the run to continue lacks run.json or pipeline.config, which say what it trained.",
    fields=_FIELDS,
)
RESUME_STEPS = Reason(
    "ResumeFromStepsTooFew",
    _USER,
    Step.NEW_RUN,
    message="{field[train.steps]} is {steps}, but the newest checkpoint of {place} is of step {step}: nothing would be"
    " left to train",
    hint="Steps count from the beginning of that run: {change[train.steps]}.",
    meaning="train.steps is the total, with the steps of the run to continue; it must be higher than those.",
    fields=("train.steps",),
)
RESUME_CLASSES = Reason(
    "ResumeFromOtherClasses",
    _USER,
    Step.NEW_RUN,
    message="{field[dataset.classes]} is {ours}, but {place} was trained with {theirs}{order}",
    hint=f"{{change[dataset.classes]}}. For other classes, {{new_run}}: {_INSTEAD}; the class heads then start anew.",
    meaning="A checkpoint has an output for each class in its order, so training goes on only with the same classes.",
    fields=("dataset.classes",),
)
RESUME_MISMATCH = Reason(
    "ResumeFromMismatch",
    _USER,
    Step.NEW_RUN,
    message="{field[resumeFrom]}: {place} differs from this run in {parts}, so its checkpoint does not fit",
    hint=f"{{new_run}} with the same network, model settings and optimizer as that run; or {_INSTEAD}.",
    meaning="The checkpoint of the run to continue has other variables than this run's network and optimizer.",
    fields=("model.network", "resumeFrom.uri"),
)
RESUME_OTHER_NETWORK = RESUME_MISMATCH.case(
    message="{field[model.network]} is {ours}, but {place} was trained with {theirs}",
    hint="{change[model.network]}.",
    fields=("model.network",),
)
