"""Reasons that the configuration of the network gives: spec.model.config, spec.model.overrides and fields like them."""

from __future__ import annotations

from trainingrun_agent.reasons.entry import Outcome, Reason, Step

_USER = Outcome.USER_ERROR

MODEL_CONFIG_NOT_FOUND = Reason(
    "ModelConfigNotFound",
    _USER,
    Step.RETRY,
    message="{field[model.config.uri]}: no object at {place}",
    hint="Upload the file there, then {retry}. If the address is wrong (case matters), {change[model.config.uri]}.",
    meaning="There is no pipeline.config at the address that was given.",
    fields=("model.config.uri",),
)
MODEL_CONFIG_UNUSABLE = Reason(
    "ModelConfigUnusable",
    _USER,
    Step.RETRY,
    message="{field[model.config]}: {place} {problem}",
    hint="Correct the file, then {retry}; or {change[model.config]}.",
    meaning="The pipeline.config that was given is not one, or the Object Detection API cannot train with it. Files"
    " from the model zoo often have fields that other versions of the API do not know: remove those.",
    fields=("model.config",),
)
MODEL_CONFIG_MISMATCH = Reason(
    "ModelConfigMismatch",
    _USER,
    Step.NEW_RUN,
    message="{field[model.config]}: {place} is of {theirs}, but {field[model.network]} is {network}",
    hint="{change[model.network]}; or, to keep the network, {change[model.config]}.",
    meaning="The pipeline.config that was given is of another network than the one that the run names.",
    fields=("model.network", "model.config"),
)
CONFIG_OF_NO_NETWORK = MODEL_CONFIG_MISMATCH.case(
    hint="{change[model.config]}: one of {field[model.network]}.", fields=("model.config",)
)
OVERRIDE_REFUSED = Reason(
    "OverrideRefused",
    _USER,
    Step.NEW_RUN,
    message="{field[model.overrides]}: {problem}",
    hint="{change[model.overrides]}. The run's pipeline.config in the bucket shows the fields of a network.",
    meaning="An override names a field that pipeline.config does not have, or gives it a value that it does not take.",
    fields=("model.overrides",),
)
OVERRIDE_OF_OWN_FIELD = OVERRIDE_REFUSED.case(
    message="{field[model.overrides]}: {path} is set by the run itself, from {owner}",
    hint="{new_run} without the override; to change what it stands for, {suggestion}.",
)
OVERRIDE_OF_OTHER_FAMILY = OVERRIDE_REFUSED.case(
    message="{field[model.overrides]}: {path} is of another network; the fields of {network} begin with {family}",
)
AUGMENTATION_REFUSED = Reason(
    "AugmentationRefused",
    _USER,
    Step.NEW_RUN,
    message="{field[train.augmentation]}{problem}",
    hint="{change[train.augmentation]}.",
    meaning="A step of the augmentation does not exist, or has no such option.",
    fields=("train.augmentation",),
)
INPUT_SIZE_UNFIT = Reason(
    "InputSizeUnfit",
    _USER,
    Step.NEW_RUN,
    message="{field[model.inputSize]}: {problem}",
    hint="{change[model.inputSize]}.",
    meaning="The network cannot be built for images of this size.",
    fields=("model.inputSize",),
)
FOCAL_LOSS_UNFIT = Reason(
    "FocalLossUnfit",
    _USER,
    Step.NEW_RUN,
    message="{field[train.focalLoss]} is for SSD networks, and {field[model.network]} is {network}",
    hint="{new_run} without it, or {change[model.network]}.",
    meaning="The two stages of Faster R-CNN choose boxes to learn from themselves, so the focal loss has no use there.",
    fields=("model.network", "train.focalLoss"),
)
