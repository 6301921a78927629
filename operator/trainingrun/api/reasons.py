"""The table of the operator's reasons: conditions, refusals, Events and the ends that only Kubernetes can see.

Invariant: a reason is an entry here, never a text. Names from outside (Kubernetes, an agent) become one by `named`. The
agent's own table is images/agent/trainingrun_agent/reasons/; docs/reasons.md is generated from both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trainingrun.api import reason
from trainingrun.api.end_reasons import *  # noqa: F403 - one table for all who look up a reason
from trainingrun.api.progress_reasons import *  # noqa: F403
from trainingrun.api.reason import Group, Reason, Step


def _waiting(name: str, meaning: str, *, hint: str = "", fields: tuple[str, ...] = ()) -> Reason:
    return Reason(name, Group.WAITING, meaning, Step.WAIT, hint, fields)


def _refused(name: str, meaning: str, *, step: Step, hint: str, fields: tuple[str, ...] = ()) -> Reason:
    return Reason(name, Group.REFUSED, meaning, step, hint, fields, ends_run=step is not Step.WAIT)


# Refused: the operator or the API server does not take the spec.
FORBIDDEN_BY_POLICY: Final = _refused(
    "ForbiddenByPolicy",
    "The spec asks for an image, Secret, ServiceAccount, address or pod setting that the operator's settings do not "
    "allow.",
    step=Step.PLATFORM,
    hint="Create a new TrainingRun with an allowed value, or ask your platform team to extend {setting} of the "
    "operator's Helm values.",
    fields=(
        "train.image",
        "storage.credentials.secretName",
        "storage.credentials.serviceAccountName",
        "storage.credentials.stsEndpoint",
        "storage.endpoint",
        "storage.proxy",
        "model.pretrained.uri",
        "prep.pod",
        "train.pod",
        "export.pod",
        "tensorboard.pod",
    ),
)
FORBIDDEN_RESERVED_KEY: Final = FORBIDDEN_BY_POLICY.case(
    "Create a new TrainingRun without this key.",
    step=Step.NEW_RUN,
    fields=("prep.pod", "train.pod", "export.pod", "tensorboard.pod"),
)
FORBIDDEN_LOCAL_ADDRESS: Final = FORBIDDEN_BY_POLICY.case(
    "Create a new TrainingRun with the address of your storage. If your storage really has this address, ask your "
    "platform team to allow it, without a wildcard in its host, in policy.endpoints of the operator's Helm values.",
    fields=("storage.endpoint",),
)
FORBIDDEN_LOCAL_PROXY: Final = FORBIDDEN_BY_POLICY.case(
    "Create a new TrainingRun with the address of your proxy. If your proxy really has this address, ask your platform "
    "team to allow it, without a wildcard in its host, in policy.proxies of the operator's Helm values.",
    fields=("storage.proxy",),
)
FORBIDDEN_LOCAL_STS: Final = FORBIDDEN_BY_POLICY.case(
    "Create a new TrainingRun with the address of your STS. If your STS really has this address, ask your platform "
    "team to allow it, without a wildcard in its host, in policy.stsEndpoints of the operator's Helm values.",
    fields=("storage.credentials.stsEndpoint",),
)
INVALID_ENDPOINT: Final = _refused(
    "InvalidEndpoint",
    "The address of the storage, its proxy or its STS is not a URL of a host, or writes an IP address in an unusual "
    "form.",
    step=Step.NEW_RUN,
    hint="Create a new TrainingRun with spec.storage.endpoint as http://host:port or https://host:port.",
    fields=("storage.endpoint",),
)
INVALID_PROXY: Final = INVALID_ENDPOINT.case(
    "Create a new TrainingRun with spec.storage.proxy as http://host:port or https://host:port, or with none.",
    fields=("storage.proxy",),
)
INVALID_STS_ENDPOINT: Final = INVALID_ENDPOINT.case(
    "Create a new TrainingRun with spec.storage.credentials.stsEndpoint as http://host:port or https://host:port.",
    fields=("storage.credentials.stsEndpoint",),
)
INVALID_WEIGHTS_ADDRESS: Final = _refused(
    "InvalidWeightsAddress",
    "The https address of the weights has a host that is no name or IP address in its usual form.",
    step=Step.NEW_RUN,
    hint="Create a new TrainingRun with spec.model.pretrained.uri as https://host/path.tar.gz.",
    fields=("model.pretrained.uri",),
)
UNKNOWN_NETWORK: Final = _refused(
    "UnknownNetwork",
    "This version of the operator does not know the network.",
    step=Step.NEW_RUN,
    hint="Create a new TrainingRun with one of the networks in the message as spec.model.network.",
    fields=("model.network",),
)
FIELD_UNUSABLE: Final = _refused(
    "FieldUnusable",
    "A value in spec.model.overrides or in the options of spec.train.augmentation is of a type that no field has, or "
    "is too long.",
    step=Step.NEW_RUN,
    hint="Create a new TrainingRun with a number, true or false, a text or a list of these. What has fields itself can "
    "be written as a text, as in pipeline.config.",
    fields=("model.overrides", "train.augmentation"),
)
CLASS_WEIGHTS_UNKNOWN: Final = _refused(
    "ClassWeightsUnknown",
    "spec.train.classWeights names a class that the data set does not have.",
    step=Step.NEW_RUN,
    hint="Create a new TrainingRun with names from spec.dataset.classes in spec.train.classWeights.",
    fields=("train.classWeights", "dataset.classes"),
)
PRETRAINED_RUN_NOT_FOUND: Final = _refused(
    "PretrainedRunNotFound",
    "There is no TrainingRun of the name in spec.model.pretrained.run in the namespace. The run waits for it.",
    step=Step.WAIT,
    hint="Create that TrainingRun: this one then starts by itself. For the export of a run that was deleted, create a "
    "new TrainingRun with spec.model.pretrained.uri.",
    fields=("model.pretrained.run", "model.pretrained.uri"),
)
PRETRAINED_RUN_NOT_READY: Final = _refused(
    "PretrainedRunNotReady",
    "The TrainingRun named in spec.model.pretrained.run has not ended yet. The run waits for it.",
    step=Step.WAIT,
    hint="This run starts by itself once that one has succeeded.",
    fields=("model.pretrained.run",),
)
PRETRAINED_RUN_FAILED: Final = _refused(
    "PretrainedRunFailed",
    "The TrainingRun named in spec.model.pretrained.run has failed, so it has no export to start from.",
    step=Step.RETRY,
    hint="Retry that run first, or create a new TrainingRun with another spec.model.pretrained.run.",
    fields=("model.pretrained.run",),
)
PRETRAINED_RUN_CIRCULAR: Final = _refused(
    "PretrainedRunCircular",
    "spec.model.pretrained.run names the run itself, or a run that waits for this one: neither could ever start.",
    step=Step.NEW_RUN,
    hint="Create a new TrainingRun with another spec.model.pretrained.run, or with spec.model.pretrained.uri.",
    fields=("model.pretrained.run", "model.pretrained.uri"),
)
RESUME_FROM_RUN_NOT_FOUND: Final = _refused(
    "ResumeFromRunNotFound",
    "There is no TrainingRun of the name in spec.resumeFrom.run in the namespace. The run waits for it.",
    step=Step.WAIT,
    hint="Create that TrainingRun: this one then starts by itself. To continue a run that was deleted, create a new "
    "TrainingRun with spec.resumeFrom.uri, its folder in the bucket.",
    fields=("resumeFrom.run", "resumeFrom.uri"),
)
RESUME_FROM_RUN_NOT_READY: Final = _refused(
    "ResumeFromRunNotReady",
    "The TrainingRun named in spec.resumeFrom.run still works, so its last checkpoint is yet to come. The run waits.",
    step=Step.WAIT,
    hint="This run starts by itself once that one has ended or is suspended.",
    fields=("resumeFrom.run",),
)
RESUME_FROM_RUN_EMPTY: Final = _refused(
    "ResumeFromRunEmpty",
    "The TrainingRun named in spec.resumeFrom.run has ended before it was accepted, so it has trained nothing.",
    step=Step.NEW_RUN,
    hint="Create a new TrainingRun with another spec.resumeFrom.run, or without spec.resumeFrom.",
    fields=("resumeFrom.run",),
)
RESUME_FROM_RUN_CIRCULAR: Final = _refused(
    "ResumeFromRunCircular",
    "spec.resumeFrom.run names the run itself, or a run that waits for this one: neither could ever start.",
    step=Step.NEW_RUN,
    hint="Create a new TrainingRun with another spec.resumeFrom.run, or with spec.resumeFrom.uri.",
    fields=("resumeFrom.run", "resumeFrom.uri"),
)
FOREIGN_CONFIG_MAP: Final = _refused(
    "ForeignConfigMap",
    "The ConfigMap that holds the resolved spec of the run exists, with something else than the operator would write. "
    "Nothing is started.",
    step=Step.WAIT,
    hint="Delete it: kubectl -n {namespace} delete configmap {name}. The operator then writes it itself.",
)
FOREIGN_CONFIG_MAP_OF_ACCEPTED: Final = FOREIGN_CONFIG_MAP.case(
    "Delete it: kubectl -n {namespace} delete configmap {name}. Then raise spec.retry to {retry}, and the run is "
    "accepted anew.",
)
CONFIG_MAP_REPLACED: Final = _refused(
    "ConfigMapReplaced",
    "The ConfigMap with which the run was accepted was replaced by another one. Nothing is started.",
    step=Step.WAIT,
    hint="Delete it: kubectl -n {namespace} delete configmap {name}. The operator then restores it.",
)
CONFIG_MAP_LOST: Final = _refused(
    "ConfigMapLost",
    "The ConfigMap with which the run was accepted was deleted or replaced, and this operator's images or defaults are "
    "others than at that time, or the run was accepted by a version that kept no digest. Nothing is started.",
    step=Step.WAIT,
    hint="Restore it from a backup; or delete it if it exists, and raise spec.retry to {retry}: the run is then "
    "accepted anew, with today's images, defaults and policy.",
)
UNSUPPORTED_CONTRACT: Final = _refused(
    "UnsupportedContract",
    "An operator of another release has accepted the run. This one leaves it as it is.",
    step=Step.WAIT,
    hint="Ask your platform team to install a matching operator: the run then goes on by itself.",
)
CHILD_REFUSED: Final = _refused(
    "ChildRefused",
    "The API server calls a Job of the run invalid, mostly for a value in the pod settings of its stage.",
    step=Step.NEW_RUN,
    hint="Create a new TrainingRun with another value for the field that the API server names.",
    fields=("prep.pod", "train.pod", "export.pod"),
)
CREATION_REFUSED: Final = _refused(
    "CreationRefused",
    "The API server does not create an object of the run: rights, a quota, an admission policy or a webhook forbid it, "
    "or another object has its name. The run waits.",
    step=Step.WAIT,
    hint="Ask your platform team to let it pass, or to set what it asks for in runs of the operator's Helm values.",
)
STATUS_REFUSED: Final = _refused(
    "StatusRefused",
    "The API server does not store the status of the run, mostly because an admission policy or webhook forbids it. "
    "The operator creates nothing for the run until it does.",
    step=Step.WAIT,
    hint="Ask your platform team to let it pass; the operator tries again at least every five minutes.",
)
DELETION_REFUSED: Final = _refused(
    "DeletionRefused",
    "An Event: the API server does not delete an object of the run, mostly because an admission policy or webhook "
    "forbids it.",
    step=Step.WAIT,
    hint="Ask your platform team to let it pass; the operator tries again at least every five minutes.",
)
TENSORBOARD_REFUSED: Final = _refused(
    "TensorBoardRefused",
    "An Event: the API server refuses TensorBoard's Deployment or Service. The run continues without TensorBoard.",
    step=Step.WAIT,
    hint="Free some quota, or ask your platform team to allow Deployments and Services; status.tensorboard says when "
    "the operator tries again. spec.tensorboard.enabled: false switches TensorBoard off.",
    fields=("tensorboard.enabled",),
)

# Waiting: the pod of a stage does not start yet. Each hint ends where "The pod then starts by itself." can follow.
POD_PENDING: Final = _waiting("PodPending", "The pod is being created, or waits for the scheduler.")
CONTAINER_CREATING: Final = _waiting(
    "ContainerCreating", "The node starts the pod; if that lasts, the message quotes the newest warning of Kubernetes."
)
POD_UNSCHEDULABLE: Final = _waiting(
    "PodUnschedulable",
    "No node has the CPU, memory, GPU or labels that the pod asks for, or tolerates its taints.",
    hint="Create a new TrainingRun with other spec.{stage}.pod.resources or nodeSelector, or free or add such a node.",
    fields=("stage.pod.resources", "stage.pod.nodeSelector", "train.gpus"),
)
POD_LACKS_ROOM: Final = POD_UNSCHEDULABLE.case(
    "Free or add such a node, or create a new TrainingRun with lower spec.{stage}.pod.resources.requests.",
    fields=("stage.pod.resources.requests",),
)
POD_FITS_NOWHERE: Final = POD_UNSCHEDULABLE.case(
    "Create a new TrainingRun with lower spec.{stage}.pod.resources.requests, or add a larger node.",
    fields=("stage.pod.resources.requests",),
)
POD_LACKS_GPU: Final = POD_UNSCHEDULABLE.case(
    "Create a new TrainingRun with spec.train.gpus: 0, which trains on the CPU, or free or add such a node.",
    fields=("train.gpus",),
)
POD_FITS_NO_LABELS: Final = POD_UNSCHEDULABLE.case(
    "Create a new TrainingRun with another spec.{stage}.pod.nodeSelector, or label a node.",
    fields=("stage.pod.nodeSelector",),
)
IMAGE_PULL_FAILED: Final = _waiting(
    "ImagePullFailed",
    "The node cannot pull an image of the pod.",
    hint="If the name is wrong, create a new TrainingRun with another spec.train.image, or once your platform team has "
    "corrected images of the operator's Helm values. Otherwise push the image, or create the Secret that pulls it.",
    fields=("train.image",),
)
SECRET_MISSING: Final = _waiting(
    "SecretMissing",
    "A Secret that the pod mounts does not exist in the run's namespace. After 20 s the attempt is given up, so that "
    "it holds no node, and another one looks for the Secret after a pause of 30 s to two minutes.",
    hint="Create the Secret in the run's namespace. If its name is wrong, create a new TrainingRun with another "
    "spec.storage.credentials.secretName.",
    fields=("storage.credentials.secretName",),
)
SERVICE_ACCOUNT_MISSING: Final = _waiting(
    "ServiceAccountMissing",
    "The ServiceAccount of the run's pods does not exist in the run's namespace, so none is created. After 20 s the "
    "attempt is given up, and another one looks for the ServiceAccount after a pause of 30 s to two minutes.",
    hint="Create the ServiceAccount in the run's namespace: kubectl create serviceaccount {account}. If its name is "
    "wrong, create a new TrainingRun with another spec.storage.credentials.serviceAccountName.",
    fields=("storage.credentials.serviceAccountName",),
)
CONFIG_MAP_MISSING: Final = _waiting(
    "ConfigMapMissing",
    "A ConfigMap that the pod mounts does not exist in the run's namespace. After 20 s the attempt is given up, so "
    "that it holds no node, and another one looks for the ConfigMap after a pause of 30 s to two minutes.",
    hint="Create the ConfigMap, with the key, in the run's namespace. If its name is wrong, create a new TrainingRun "
    "with another spec.storage.caBundle.configMapName or spec.model.config.configMap.",
    fields=("storage.caBundle.configMapName", "model.config.configMap"),
)
QUOTA_EXCEEDED: Final = _waiting(
    "QuotaExceeded",
    "The namespace's ResourceQuota has no room for the pod.",
    hint="Free some of the namespace's ResourceQuota, or ask your platform team for a larger one.",
)
POD_REFUSED: Final = _waiting(
    "PodRefused",
    "Admission of the cluster refuses the pod; the message says who and why.",
    hint="Create a new TrainingRun with what the rule asks for in spec.{stage}.pod, or ask your platform team to set "
    "it in runs of the operator's Helm values, or to let the pod pass.",
    fields=("stage.pod.labels", "stage.pod.annotations", "stage.pod.priorityClassName"),
)
POD_NEEDS_RESOURCES: Final = POD_REFUSED.case(
    "Ask your platform team for a LimitRange in the namespace{steps}.", fields=("stage.pod.resources",)
)
POD_BREAKS_LIMIT_RANGE: Final = POD_REFUSED.case(
    "Create a new TrainingRun with spec.{stage}.pod.resources that fit the LimitRange, or ask your platform team to "
    "change it, or runs.agent.resources of the operator's Helm values.",
    fields=("stage.pod.resources",),
)
POD_NEEDS_PRIORITY_CLASS: Final = POD_REFUSED.case(
    "Ask your platform team to create this PriorityClass, or create a new TrainingRun with another "
    "spec.{stage}.pod.priorityClassName.",
    fields=("stage.pod.priorityClassName",),
)
JOB_SUSPENDED: Final = _waiting(
    "JobSuspended",
    "Something else than this operator, such as Kueue or an administrator, has suspended the Job of the attempt. The "
    "attempt goes on when that resumes the Job.",
    hint="Find out who suspended the Job, and let them resume it.",
)
INIT_CONTAINER: Final = _waiting(
    "InitContainer",
    "An init container that the cluster added to the pod has not ended, or is not ready: the pod's own containers "
    "start after it.",
    hint="Ask your platform team about this container, which the cluster adds to pods.",
)
CREATE_CONTAINER_CONFIG_ERROR: Final = _waiting(
    "CreateContainerConfigError", "The node cannot put the container's configuration together; the message says why."
)
CREATE_CONTAINER_ERROR: Final = _waiting(
    "CreateContainerError", "The node cannot create the container; the message says why."
)

UNKNOWN: Final = Reason(
    "Unknown",
    Group.ENDED,
    "A pod gave no reason, or a text that cannot be the reason of a condition.",
    None,
    ends_run=True,
)


def _table() -> Mapping[str, tuple[Reason, ...]]:
    found: dict[str, list[Reason]] = {}
    for entry in list(globals().values()):
        if isinstance(entry, Reason):
            found.setdefault(entry.name, []).append(entry)
    return {name: tuple(entries) for name, entries in found.items()}


TABLE: Final = _table()
"""All entries by name; the first of a name is the reason itself, the others are cases of it."""


def named(name: object) -> Reason:
    """Return the entry of a name that Kubernetes or a pod gave; a name without entry is made fit for a condition."""
    text = re.sub("[^A-Za-z0-9]", "", str(name or ""))[:64]
    if not text[:1].isalpha():
        return UNKNOWN
    text = text[0].upper() + text[1:]
    return TABLE[text][0] if text in TABLE else Reason(text, Group.ENDED, "", None, ends_run=True)


def export() -> list[Mapping[str, object]]:
    """Return the whole table as plain data, by name."""
    return [reason.to_json(*TABLE[name]) for name in sorted(TABLE)]
