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
WEIGHTS_OTHER_DIGEST = PRETRAINED_UNUSABLE.case(
    message="{field[model.pretrained.sha256]} is {expected}, but {place} has the SHA-256 {found}",
    hint="If the archive is the right one, {change[model.pretrained.sha256]}. Else the object was replaced: find out by"
    " whom before you use it.",
    fields=("model.pretrained.sha256", "model.pretrained.uri"),
)
WEIGHTS_NOT_AT_ADDRESS = PRETRAINED_NOT_FOUND.case(
    message="{field[model.pretrained.uri]}: there is nothing at {place}, its host answers {status}",
    hint="{change[model.pretrained.uri]}; or upload the archive to the bucket and name its key.",
    step=Step.NEW_RUN,
)
WEIGHTS_REDIRECTED = PRETRAINED_UNUSABLE.case(
    message="{field[model.pretrained.uri]}: {place} redirects to {to}; only its own host is asked",
    hint="{change[model.pretrained.uri]}: the address to which it redirects, if policy.weightHosts of the operator's"
    " Helm values allows its host; or upload the archive to the bucket and name its key.",
)
WEIGHTS_OTHER_ANSWER = PRETRAINED_UNUSABLE.case(
    message="{field[model.pretrained.uri]}: {place} {problem}",
    hint="{change[model.pretrained.uri]}: an address that needs no login; or upload the archive to the bucket and name"
    " its key.",
)
WEIGHTS_ADDRESS_REFUSED = PRETRAINED_UNUSABLE.case(
    message="{field[model.pretrained.uri]}: the host of {place} has the address {address}, which is the pod itself, its"
    " node or the metadata service of its cloud",
    hint="{change[model.pretrained.uri]}. If the host really has this address, ask your platform team to allow it,"
    " without a wildcard, in policy.weightHosts of the operator's Helm values.",
)
PRETRAINED_UNREACHABLE = Reason(
    "PretrainedUnreachable",
    Outcome.CRASH,
    Step.RETRY,
    message="{field[model.pretrained.uri]}: {place} cannot be fetched: {problem}",
    hint="Check that {here} may reach that host (firewall, NetworkPolicy), then {retry}. Or upload the archive to the"
    " bucket and {change[model.pretrained.uri]}: its key.",
    meaning="The https address of the weights did not answer, or not with the whole archive. The next attempt tries it"
    " again.",
    fields=_FIELDS,
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
NOT_ALL_WEIGHTS = PRETRAINED_MISMATCH.case(
    message="{field[model.pretrained.scope]} is all, but {anew} cannot be loaded from {place}: {why}",
    hint="{change[model.pretrained.scope]}: what fits is then loaded, the rest starts anew. Or use the export of a run"
    " with the same network and the same classes in the same order.",
    fields=("model.pretrained.scope", "model.pretrained.uri"),
)
WEIGHTS_OF_NO_NETWORK = PRETRAINED_MISMATCH.case(
    hint="{change[model.pretrained.uri]}: weights of {field[model.network]}.", fields=_FIELDS
)
