"""Reasons that the weights to start from give (spec.model.pretrained)."""

from __future__ import annotations

from trainingrun_agent.reasons.entry import Outcome, Reason, Step

_USER = Outcome.USER_ERROR
_FIELDS = ("model.pretrained.uri",)
_WHAT = "a .tar.gz of the TensorFlow 1 detection model zoo, or the export folder of a run"

PRETRAINED_NOT_FOUND = Reason(
    "PretrainedNotFound",
    _USER,
    Step.RETRY,
    message="{field[model.pretrained]}: no object at {place}",
    hint="Upload the weights there, then {retry}. If the address is wrong (case matters),"
    " {change[model.pretrained.uri]}.",
    meaning="There are no weights at the address that was given.",
    fields=_FIELDS,
)
PRETRAINED_UNUSABLE = Reason(
    "PretrainedUnusable",
    _USER,
    Step.NEW_RUN,
    message="{field[model.pretrained]}: {place} {problem}",
    hint=f"{{change[model.pretrained.uri]}}: {_WHAT}. If only the upload was broken, upload it again and {{retry}}.",
    meaning="The object or folder at the address has no readable checkpoint.",
    fields=_FIELDS,
)
WEIGHTS_GONE = PRETRAINED_UNUSABLE.case(
    message="{field[model.pretrained]}: no object at {place}",
    hint="Upload the archive there, then {retry}. If the address is wrong, {change[model.pretrained.uri]}.",
    step=Step.RETRY,
)
WEIGHTS_TOO_LARGE = PRETRAINED_UNUSABLE.case(
    message="{field[model.pretrained]}: {place} has {size} bytes, at most {limit} are used",
    hint=f"{{change[model.pretrained.uri]}}: {_WHAT}.",
)
WEIGHTS_CUT = PRETRAINED_UNUSABLE.case(
    message="{field[model.pretrained]}: the weights in {place} have {size} bytes of data, their index names {named}",
    hint="Index and data are of different checkpoints, or the data was cut: upload both again, then {retry}.",
    step=Step.RETRY,
)
NOT_AN_EXPORT = PRETRAINED_UNUSABLE.case(
    message="{field[model.pretrained]}: {place} is not the export of a run: {problem}",
    hint="{change[model.pretrained.uri]}: the folder of an export, with its MANIFEST.json, or an archive.",
)
EXPORT_WITHOUT_CHECKPOINT = PRETRAINED_UNUSABLE.case(
    message="{field[model.pretrained]}: the manifest in {place} names no checkpoint",
    hint="{change[model.pretrained.uri]}: the folder of an export that has checkpoint/model.ckpt.index.",
)
PRETRAINED_MISMATCH = Reason(
    "PretrainedMismatch",
    _USER,
    Step.NEW_RUN,
    message="{field[model.pretrained]}: the weights in {place} {problem}",
    hint="{change[model.network]}; or, to keep the network, {change[model.pretrained.uri]}.",
    meaning="The weights belong to another network. Training would start from random numbers.",
    fields=("model.network", "model.pretrained.uri"),
)
WEIGHTS_OF_NO_NETWORK = PRETRAINED_MISMATCH.case(
    hint="{change[model.pretrained.uri]}: weights of {field[model.network]}.", fields=_FIELDS
)
