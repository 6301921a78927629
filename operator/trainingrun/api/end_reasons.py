"""The part of the table of reasons that says how attempts ended, as only Kubernetes knows it: see reasons.py."""

from __future__ import annotations

from typing import Final

from trainingrun.api.reason import Group, Reason, Step


def _ended(name: str, meaning: str, *, step: Step, hint: str = "", fields: tuple[str, ...] = ()) -> Reason:
    return Reason(name, Group.ENDED, meaning, step, hint, fields, ends_run=True)


OOM_KILLED: Final = _ended(
    "OOMKilled",
    "A container of the pod was killed because it needed more memory than its limit, or than its node has.",
    step=Step.NEW_RUN,
    hint="Create a new TrainingRun with {memory}{batch}.",
    fields=("stage.pod.resources.limits.memory", "stage.pod.resources.requests.memory", "train.batchSize"),
)
OOM_KILLED_READING: Final = OOM_KILLED.case(
    "Look at what it read first: if that is damaged or far too large, replace it and raise spec.retry. If it is right, "
    "create a new TrainingRun with {memory}.",
)
OOM_KILLED_AGENT: Final = OOM_KILLED.case(
    "Ask your platform team to raise runs.agent.resources.limits.memory of the operator's Helm values.",
    step=Step.PLATFORM,
    fields=(),
)
SCRATCH_FULL: Final = _ended(
    "DiskFull",
    "The node evicted the pod because it used more disk space than its own limit allows, mostly of its scratch.",
    step=Step.NEW_RUN,
    hint="Create a new TrainingRun with {scratch}.",
    fields=("stage.scratch",),
)
SCRATCH_FULL_ELSEWHERE: Final = SCRATCH_FULL.case(
    "Ask your platform team what fills this volume: no field of the spec is its size.", step=Step.PLATFORM, fields=()
)
SCRATCH_FULL_OF_CONTAINERS: Final = SCRATCH_FULL.case(
    "Ask your platform team to raise the limit of ephemeral-storage: in a LimitRange of the namespace, or in "
    "runs.agent.resources of the operator's Helm values.",
    step=Step.PLATFORM,
    fields=(),
)
EVICTED: Final = _ended(
    "Evicted", "The node ended the pod because the node ran short of memory or disk.", step=Step.WAIT
)
PREEMPTING: Final = _ended(
    "Preempting", "The node ended the pod to make room for a critical pod of the system.", step=Step.WAIT
)
DEADLINE_EXCEEDED: Final = _ended(
    "DeadlineExceeded",
    "A deadline (activeDeadlineSeconds) that something in the cluster has set on the Job or its pod has passed. The "
    "operator sets none.",
    step=Step.WAIT,
)
REFUSED_BY_NODE: Final = _ended(
    "RefusedByNode",
    "The node to which the pod was assigned did not take it: a resource was taken meanwhile, such as a GPU, or is not "
    "healthy. No container ran.",
    step=Step.WAIT,
)
CONTAINER_STATUS_UNKNOWN: Final = _ended(
    "ContainerStatusUnknown",
    "The node does not know how a container ended, as after the node was started again.",
    step=Step.WAIT,
)
ILLEGAL_INSTRUCTION: Final = _ended(
    "IllegalInstruction",
    "The trainer or exporter was ended by SIGILL: the CPU of the node lacks an instruction that the image's TensorFlow "
    "uses, mostly AVX.",
    step=Step.NEW_RUN,
    hint="Create a new TrainingRun with a spec.{stage}.pod.nodeSelector for nodes with a newer CPU, or with another "
    "spec.train.image. If only this node is so old, ask your platform team to keep the pod off it, and raise "
    "spec.retry.",
    fields=("stage.pod.nodeSelector", "train.image"),
)
POD_DELETED: Final = _ended("PodDeleted", "Somebody, or the cluster, deleted the pod.", step=Step.WAIT)
POD_GONE: Final = _ended(
    "PodGone",
    "The pod was removed while no operator watched, as when a node is drained or removed, so nothing is known of its "
    "end.",
    step=Step.WAIT,
)
POD_STUCK: Final = _ended(
    "PodStuck",
    "The pod was deleted, but did not end within its grace period; its node may not answer. It is given up.",
    step=Step.WAIT,
)
JOB_GONE: Final = _ended("JobGone", "The Job of the attempt was deleted.", step=Step.WAIT)
NODE_LOST: Final = _ended("NodeLost", "The node of the pod does not answer any more.", step=Step.WAIT)
NODE_SHUTDOWN: Final = _ended("NodeShutdown", "The node of the pod was shut down.", step=Step.WAIT)
SHUTDOWN: Final = _ended("Shutdown", "The node of the pod was shut down.", step=Step.WAIT)
TERMINATED: Final = _ended("Terminated", "The node of the pod was shut down gracefully.", step=Step.WAIT)
PREEMPTED: Final = _ended(
    "PreemptionByScheduler", "The scheduler ended the pod to make room for one of higher priority.", step=Step.WAIT
)
TAINTED: Final = _ended(
    "DeletionByTaintManager", "The node got a taint that the pod does not tolerate.", step=Step.WAIT
)
EVICTED_BY_API: Final = _ended(
    "EvictionByEvictionAPI", "The pod was evicted, as when a node is drained.", step=Step.WAIT
)
GARBAGE_COLLECTED: Final = _ended(
    "DeletionByPodGC", "The pod was deleted because its node does not exist any more.", step=Step.WAIT
)
TERMINATED_BY_KUBELET: Final = _ended(
    "TerminationByKubelet", "The node ended the pod, for a shutdown or for lack of resources.", step=Step.WAIT
)
NO_VERDICT: Final = _ended(
    "NoVerdict",
    "The agent ended without saying how: it was killed, or could not start.",
    step=Step.RETRY,
    hint="Look for the cause in the message and in the log of container agent. Without one, give both to your platform "
    "team.",
)
NODE_DISK_FULL: Final = _ended(
    "NodeDiskFull",
    "The disk of the node is full: the agent could not even write how it ended.",
    step=Step.PLATFORM,
    hint="Ask your platform team to free disk space on the node of the pod.",
)
TRAINER_NEVER_STARTED: Final = _ended(
    "TrainerNeverStarted",
    "The container of the trainer or exporter ended before it started to work.",
    step=Step.NEW_RUN,
    hint="Create a new TrainingRun with another spec.train.image (now {image}): a TrainingRun trainer image.",
    fields=("train.image",),
)
OUR_TRAINER_NEVER_STARTED: Final = TRAINER_NEVER_STARTED.case(
    "The image is the operator's: ask your platform team to correct images.trainer of the operator's Helm values. Then "
    "create a new TrainingRun: this one keeps its images.",
    fields=(),
)
START_DEADLINE_EXCEEDED: Final = _ended(
    "StartDeadlineExceeded",
    "A pod did not start within spec.startDeadlineSeconds; the message has the cause.",
    step=Step.RETRY,
    hint="Remove the cause.",
    fields=("startDeadlineSeconds",),
)
ACTIVE_DEADLINE_EXCEEDED: Final = _ended(
    "ActiveDeadlineExceeded",
    "The run was active for longer than spec.activeDeadlineSeconds. Time in which it was suspended does not count.",
    step=Step.RETRY,
    hint="With a retry the time starts again, from the newest checkpoint; set spec.finish to true too to export what "
    "is trained. To end with a model by itself, create a new TrainingRun with spec.train.maxDuration.",
    fields=("activeDeadlineSeconds", "finish", "train.maxDuration"),
)
