"""Why a pod has not started: the cause, and the next step for the user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trainingrun.api import clock
from trainingrun.domain.draft import sentences
from trainingrun.domain.observe import JobView, PodView

NO_POD_SECONDS: Final = 4
CREATING_SECONDS: Final = 5
_IMAGE: Final = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_NEXT_STEP: Final = {
    "PodUnschedulable": "Free or add such a node, or change the stage's pod.resources or nodeSelector in a new run.",
    "ImagePullFailed": "Check the image name and the operator's imagePullSecrets.",
    "SecretMissing": "Create the Secret in the run's namespace; the pod then starts by itself.",
    "ConfigMapMissing": "Create the ConfigMap in the run's namespace; the pod then starts by itself.",
    "QuotaExceeded": "Free some of the namespace's ResourceQuota, or ask for a larger one.",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """What an attempt waits for; `subject_uid` names an object whose warning Events would tell more."""

    reason: str
    message: str
    subject_uid: str = ""

    @property
    def full(self) -> str:
        """The message with the next step."""
        return sentences(self.message, _NEXT_STEP.get(self.reason, ""))


def cause_of(job: JobView, pod: PodView | None, *, hints: dict[str, str], now: datetime) -> Cause:
    """Return what keeps the attempt from starting; `hints` holds the newest warning Event by object UID."""
    if pod is None:
        return _no_pod(job, hints=hints, now=now)
    if pod.unschedulable:
        return Cause("PodUnschedulable", f"No node can run pod {pod.name}: {_one_sentence(pod.unschedulable)}")
    for name, container in pod.containers.items():
        if container.state != "waiting":
            continue
        message = f"Container {name}: {_one_sentence(f'{container.reason}: {container.message}')}"
        if container.reason in _IMAGE:
            return Cause("ImagePullFailed", message)
        if container.reason not in {"", "ContainerCreating", "PodInitializing"}:
            return _missing_object(message) or Cause(container.reason, message)
    if not pod.scheduled_at:
        return Cause("PodPending", f"Pod {pod.name} waits for the scheduler.")
    if _age(pod.scheduled_at, now) < CREATING_SECONDS:
        return Cause("ContainerCreating", f"Pod {pod.name} is being started on node {pod.node}.")
    hint = hints.get(pod.uid, "")
    if not hint or hint.startswith("FailedScheduling"):  # an old Event: the pod has its node
        return Cause("ContainerCreating", f"Pod {pod.name} is being started on node {pod.node}.", pod.uid)
    message = f"Pod {pod.name}: {hint}"
    return _missing_object(message, uid=pod.uid) or Cause("ContainerCreating", message, pod.uid)


def _no_pod(job: JobView, *, hints: dict[str, str], now: datetime) -> Cause:
    if _age(job.created, now) < NO_POD_SECONDS:
        return Cause("PodPending", f"Job {job.name} was created.")
    hint = hints.get(job.uid, "")
    if "exceeded quota" in hint:
        return Cause("QuotaExceeded", f"Job {job.name} gets no pod: {hint}", job.uid)
    if hint:
        return Cause("PodRefused", f"Job {job.name} gets no pod: {hint}", job.uid)
    return Cause("PodPending", f"Job {job.name} has no pod yet.", job.uid)


def _one_sentence(text: str) -> str:
    return text.strip().rstrip(":.") + "."


def _missing_object(message: str, *, uid: str = "") -> Cause | None:
    """Return the cause if the message says that a Secret or ConfigMap does not exist."""
    lowered = message.lower()
    if "secret" in lowered and "not found" in lowered:
        return Cause("SecretMissing", message, uid)
    if "configmap" in lowered and "not found" in lowered:
        return Cause("ConfigMapMissing", message, uid)
    return None


def _age(since: str, now: datetime) -> float:
    return clock.seconds_between(since, clock.to_text(now)) or 0.0
