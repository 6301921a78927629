"""Reasons that storage gives: it refuses, does not answer, or does not hold what was expected.

Invariant: every entry has the outcome of the class that raises it (errors.py).
"""

from __future__ import annotations

from trainingrun_agent.reasons.entry import Outcome, Reason, Step
from trainingrun_agent.terms import Change, Field

_REFUSED, _OUTAGE = Outcome.STORAGE_REFUSED, Outcome.STORAGE_OUTAGE
_FAILED = "{call} on {where} failed: {answer}"

BUCKET_NOT_FOUND = Reason(
    "BucketNotFound",
    _REFUSED,
    Step.RETRY,
    message=_FAILED,
    hint="Create bucket {bucket}, then {retry}. If the name is wrong, {change_bucket}.",
    meaning="The storage server has no bucket of this name, or the name cannot be one of a bucket.",
    fields=("storage.bucket", "storage.endpoint"),
    example={"change_bucket": Change("storage.bucket")},
)
ACCESS_DENIED = Reason(
    "AccessDenied",
    _REFUSED,
    Step.RETRY,
    message=_FAILED,
    hint="Allow {action} on bucket {bucket} to the access key in {credentials}, then {retry}.",
    meaning="The credentials are known, but have no right to this call.",
    fields=("storage.credentials.secretName",),
)
FILE_DENIED = ACCESS_DENIED.case(
    message="{file}: {problem}", hint="Give yourself the right to this file, or choose another folder.", fields=()
)
INVALID_CREDENTIALS = Reason(
    "InvalidCredentials",
    _REFUSED,
    Step.RETRY,
    message=_FAILED,
    hint="Correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (if any) in {credentials}, then"
    " {retry}.",
    meaning="The storage server does not know the access key, or the secret does not belong to it.",
    fields=("storage.credentials.secretName",),
)
CREDENTIALS_NOT_TEXT = INVALID_CREDENTIALS.case(
    message="key {key} of {credentials} is not one line of plain text",
    hint="Store the bare value under {key}, without quotes, spaces or line breaks, then {retry}.",
)
CREDENTIALS_MISSING = Reason(
    "CredentialsMissing",
    _REFUSED,
    Step.RETRY,
    message="key {key} is missing from {credentials}, or is empty",
    hint="Add key {key} to the Secret, then {retry}.",
    meaning="The Secret with the credentials lacks a key that is needed.",
    fields=("storage.credentials.secretName",),
)
EMPTY_PREFIX = Reason(
    "EmptyPrefix",
    _REFUSED,
    Step.RETRY,
    message="{uri}: no object below {place}",
    hint="Upload the images there, then {retry}. If the address is wrong (case matters), {change_uri}.",
    meaning="There is no object at the address of the images.",
    fields=("dataset.train.uri", "dataset.eval.uri", "dataset.train.labels.uri", "dataset.eval.labels.uri"),
    example={"uri": Field("dataset.train.uri"), "change_uri": Change("dataset.train.uri")},
)
ENDPOINT_NOT_S3 = Reason(
    "EndpointNotS3",
    _REFUSED,
    Step.NEW_RUN,
    message="{call} on {where} failed: the answer is not S3 ({answer})",
    hint="Check http or https, host, port and path of {field[storage.endpoint]}; to correct it,"
    " {change[storage.endpoint]}.",
    meaning="Something answers at the endpoint, but not as S3 does: a web server, a proxy, or another port.",
    fields=("storage.endpoint",),
)
ENDPOINT_UNUSABLE = ENDPOINT_NOT_S3.case(
    message="{field[storage.endpoint]} {endpoint!r} cannot be used: {problem}",
    hint="Write it as http://host:port or https://host:port: {change[storage.endpoint]}.",
)
ADDRESS_REFUSED = Reason(
    "AddressRefused",
    _REFUSED,
    Step.NEW_RUN,
    message="{field[storage.endpoint]}: {endpoint} leads to {address}, which is the pod itself, its node or the"
    " metadata service of its cloud, not storage",
    hint="If the endpoint is wrong, {change[storage.endpoint]}; if its DNS entry is, correct that and {retry}. If your"
    " storage really has this address, ask your platform team to allow it in policy.endpoints of the operator's Helm"
    " values.",
    meaning="The name of the endpoint resolves to an address where no storage can be, and which pods must not reach.",
    fields=("storage.endpoint",),
)
TLS_ERROR = Reason(
    "TLSError",
    _REFUSED,
    Step.NEW_RUN,
    message=_FAILED,
    hint="Check http or https in {field[storage.endpoint]}. For a private CA, {change[storage.caBundle]}. If the"
    " server's certificate has expired, renew it and {retry}.",
    meaning="No encrypted connection to the storage server could be made: it speaks no TLS, or its certificate is not"
    " trusted.",
    fields=("storage.caBundle", "storage.endpoint"),
)
CA_NOT_MOUNTED = TLS_ERROR.case(
    message="the CA bundle of {field[storage.caBundle]} is not mounted at {path}",
    hint="Check that the ConfigMap named in {field[storage.caBundle]} exists and has the key named there, then"
    " {retry}.",
    step=Step.RETRY,
    fields=("storage.caBundle",),
)
CA_UNREADABLE = TLS_ERROR.case(
    message="{field[storage.caBundle]}: the ConfigMap's key has no readable certificates",
    hint="Put the certificates of the authority into it, in PEM form (-----BEGIN CERTIFICATE-----), then {retry}.",
    step=Step.RETRY,
    fields=("storage.caBundle",),
)
WRONG_REGION = Reason(
    "WrongRegion",
    _REFUSED,
    Step.NEW_RUN,
    message=_FAILED,
    hint="The bucket is in another region: {change[storage.region]}.",
    meaning="The bucket is in another region than the one that requests are sent to.",
    fields=("storage.region",),
)
CLOCK_SKEW = Reason(
    "ClockSkew",
    _REFUSED,
    Step.PLATFORM,
    message=_FAILED,
    hint="Set the clock of {here} or of the storage server (NTP), then {retry}.",
    meaning="The clocks of the node and of the storage server differ by more than S3 allows, so signatures are"
    " refused.",
)
CLOCKS_DIFFER = CLOCK_SKEW.case(
    message="the clock of {here} is {seconds:.0f} s {direction} the clock of {endpoint}",
)
WRITES_NOT_VISIBLE = Reason(
    "WritesNotVisible",
    _REFUSED,
    Step.NEW_RUN,
    message="{place} was written, but a ranged read returned {count} other bytes",
    hint="Use another storage server, one that is read-after-write consistent and honours Range:"
    " {change[storage.endpoint]}.",
    meaning="The server does not return what was written a moment before, or ignores the Range header. Checkpoints"
    " would not be safe there.",
    fields=("storage.endpoint",),
)
LISTING_ENDLESS = Reason(
    "ListingEndless",
    _REFUSED,
    Step.PLATFORM,
    message="the listing of {where} does not end: {problem}",
    hint="The storage server does not list as S3 does: check its version, and that its index of the bucket is sound.",
    meaning="The server's listing of a prefix has no end, or more objects than a run can list.",
)
TOO_MANY_OBJECTS = LISTING_ENDLESS.case(
    message="{where} has more than {limit} objects or folders",
    hint="Move what does not belong there to another place, then {retry}.",
    step=Step.RETRY,
)
REQUEST_REFUSED = Reason(
    "RequestRefused",
    _REFUSED,
    Step.PLATFORM,
    message=_FAILED,
    hint="The server does not support {call} as it was sent: check its version.",
    meaning="The storage server refuses a call for a reason that has no entry of its own.",
)
FILE_REFUSED = REQUEST_REFUSED.case(
    message="{file}: {problem}", hint="Check the name, the disk and its file system.", step=Step.RETRY
)
OBJECT_NOT_FOUND = Reason(
    "ObjectNotFound",
    _REFUSED,
    Step.RETRY,
    message=_FAILED,
    hint="Put the object back, then {retry}.",
    meaning="An object that a manifest, a result or a listing names is not in the bucket.",
)
FILE_NOT_FOUND = OBJECT_NOT_FOUND.case(message="{file}: {problem}", hint="Put the file there, or correct the name.")
MANIFEST_NOT_FOUND = OBJECT_NOT_FOUND.case(message="no manifest at {place}")
RESULT_NOT_FOUND = OBJECT_NOT_FOUND.case(message="no result of stage prep at {place}")
OBJECT_CHANGED = Reason(
    "ObjectChanged",
    _REFUSED,
    Step.RETRY,
    message="{where} has ETag {found}, when it was listed it had {listed}",
    hint="Wait until the upload is complete, then {retry}.",
    meaning="An object was replaced between being listed and being read.",
)
FILE_CHANGED = OBJECT_CHANGED.case(
    message="{file} was changed after it was listed", hint="Wait until the file no longer changes, then {retry}."
)
OBJECT_LOCKED = Reason(
    "ObjectLocked",
    _REFUSED,
    Step.RETRY,
    message="{where} cannot be deleted: the bucket must keep it (Object Lock)",
    hint="Wait until its retention ends or remove its legal hold, then {retry}.",
    meaning="Object Lock, or a similar rule of the storage server, keeps an object that was to be deleted.",
)
OBJECT_TOO_LARGE = Reason(
    "ObjectTooLarge",
    Outcome.USER_ERROR,
    Step.RETRY,
    message="{where} is larger than the {limit} bytes that are read of it",
    hint="Check that it is the right file, and upload a smaller one; then {retry}.",
    meaning="An object is larger than the bound for its kind. Bounds keep a wrong file from filling memory or disk.",
)
ENDPOINT_UNREACHABLE = Reason(
    "EndpointUnreachable",
    _OUTAGE,
    Step.WAIT,
    message=_FAILED,
    hint="Check that {field[storage.endpoint]} is right and reachable from {here}.",
    meaning="No connection to the storage server, or to its STS: name not found, refused, timed out, or broken. The pod"
    " waits and tries again.",
    fields=("storage.endpoint",),
)
SERVER_ERROR = Reason(
    "ServerError",
    _OUTAGE,
    Step.WAIT,
    message=_FAILED,
    hint="Look at the log of the storage server.",
    meaning="The storage server, or its STS, answers with an error of its own (5xx) or asks for fewer requests. The pod"
    " waits and tries again.",
)
CONDITIONAL_WRITES_IGNORED = Reason(
    "ConditionalWritesIgnored",
    Outcome.SUCCEEDED,
    Step.PLATFORM,
    message="the storage server refuses or ignores If-None-Match; two pods of one run are kept apart by their folders"
    " only",
    hint="Nothing has to be done; a server that honours If-None-Match keeps pods apart more strictly.",
    meaning="A warning in StorageReady: the server does not write an object on the condition that it is a new one. Runs"
    " work.",
)
DELETIONS_REFUSED = Reason(
    "DeletionsRefused",
    Outcome.SUCCEEDED,
    Step.PLATFORM,
    message="the bucket keeps what is deleted (Object Lock); what a run no longer needs stays there, such as old"
    " checkpoints",
    hint="Nothing has to be done; a bucket without retention for storage.prefix needs less space.",
    meaning="A warning in StorageReady: Object Lock, or a similar rule of the storage server, keeps objects that runs"
    " delete. Runs work.",
)

INTEGRITY_ERROR = Reason(
    "IntegrityError",
    Outcome.CRASH,
    Step.RETRY,
    message="{where} was read as {found}, expected {expected}",
    hint="It was replaced or damaged: put the original back, then {retry}.",
    meaning="Bytes in storage differ in size or SHA-256 from what was written or promised, or a document is not what"
    " its name says.",
)
FILE_ENDED_EARLY = INTEGRITY_ERROR.case(
    message="the file for {name} ended {missing} bytes early while it was uploaded",
    hint="Something changed the file on the local disk of {here}.",
    step=Step.WAIT,
)
FILE_CHANGED_LOCALLY = INTEGRITY_ERROR.case(
    message="{name} changed on local disk while it was uploaded to {place}",
    hint="Something changed the file on the local disk of {here}.",
    step=Step.WAIT,
)
NO_FREE_EPOCH = INTEGRITY_ERROR.case(
    message="no free epoch from {first} to {last} below {place}",
    hint="Other pods keep writing there: check that no second cluster runs the same TrainingRun, then {retry}.",
)
NOT_A_DOCUMENT = INTEGRITY_ERROR.case(
    message="{place} {problem}",
    hint="Something other than the agent wrote it: look at the object, delete it if it is not needed, then {retry}.",
)
NOT_A_MANIFEST = INTEGRITY_ERROR.case(
    message="{place} is not a manifest: {problem}",
    hint=NOT_A_DOCUMENT.hint,
)
NOT_A_RESULT = INTEGRITY_ERROR.case(
    message="{place} is not a result of stage {of_stage}{problem}",
    hint=NOT_A_DOCUMENT.hint,
)
NOT_A_DATA_SET = INTEGRITY_ERROR.case(
    message="{place} is not the manifest of a data set with label map, train and eval shards",
    hint=NOT_A_DOCUMENT.hint,
)
NOT_THAT_CHECKPOINT = INTEGRITY_ERROR.case(
    message="{place} does not name the files of step {step}",
    hint="Nothing to do: the checkpoint before it is used.",
    step=Step.WAIT,
)
