"""Why a pod has not started: the cause, and the next step for the user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trainingrun.api import clock, reasons
from trainingrun.api.reason import Reason
from trainingrun.domain import refused_pods
from trainingrun.domain.observe import ContainerView, JobView, PodView
from trainingrun.domain.texts import cut, sentences

NO_POD_SECONDS: Final = 4
CREATING_SECONDS: Final = 5
_IMAGE: Final = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_STARTS: Final = "The pod then starts by itself."
_NO_CAUSE: Final = {"", "ContainerCreating", "PodInitializing"}


@dataclass(frozen=True, slots=True)
class Cause:
    """What an attempt waits for; `subject_uid` is of the object whose warning Events may explain it."""

    reason: Reason
    message: str
    subject_uid: str = ""
    stage: str = ""
    steps: str = ""

    @property
    def hint(self) -> str:
        """What the user can do, for a pod that is still wanted or for the next one."""
        return self.reason.hint_with(stage=self.stage, steps=self.steps)

    def text(self, limit: int) -> str:
        """The message with the next step, which is kept whole when the message has to be cut."""
        end = sentences(self.hint, _STARTS) if self.hint else ""
        return sentences(cut(self.message, limit - len(end) - 2), end)


def cause_of(job: JobView, pod: PodView | None, *, hints: dict[str, str], now: datetime) -> Cause:
    """Return what keeps the attempt from starting; `hints` holds the newest warning Event by object UID."""
    if pod is None:
        return _no_pod(job, hints=hints, now=now)
    if pod.unschedulable:
        message = f"No node can run pod {pod.name}: {_one_sentence(pod.unschedulable)}"
        return Cause(reasons.POD_UNSCHEDULABLE, message, stage=pod.stage)
    for name, container in pod.containers.items():
        known = _waiting_container(f"Container {name}", container)
        if known is not None:
            return known
    if not pod.scheduled_at:
        return Cause(reasons.POD_PENDING, f"Pod {pod.name} waits for the scheduler.")
    if _age(pod.scheduled_at, now) < CREATING_SECONDS:
        return Cause(reasons.CONTAINER_CREATING, f"Pod {pod.name} is being started on node {pod.node}.")
    added = _init_container(pod)
    if added is not None:
        return added
    hint = hints.get(pod.uid, "")
    if not hint or hint.startswith("FailedScheduling"):  # an old Event: the pod has its node
        return Cause(reasons.CONTAINER_CREATING, f"Pod {pod.name} is being started on node {pod.node}.", pod.uid)
    message = f"Pod {pod.name}: {hint}"
    return _missing_object(message, uid=pod.uid) or Cause(reasons.CONTAINER_CREATING, message, pod.uid)


def job_suspended(job: JobView) -> Cause:
    """Return the cause of an attempt whose Job waits for whatever suspended it; the operator never suspends a Job."""
    who = "something else than the operator, such as Kueue or an administrator"
    return Cause(reasons.JOB_SUSPENDED, f"Job {job.name} was suspended by {who}.")


def _no_pod(job: JobView, *, hints: dict[str, str], now: datetime) -> Cause:
    if job.suspended:
        return job_suspended(job)
    if job.pod_ended or job.ending:
        return Cause(reasons.POD_PENDING, f"The pod of Job {job.name} has ended; waiting for the end of the Job.")
    if _age(job.started_at or job.created, now) < NO_POD_SECONDS:
        return Cause(reasons.POD_PENDING, f"Job {job.name} was created.")
    hint = hints.get(job.uid, "")
    if hint:
        reason, steps = refused_pods.explain(hint, stage=job.stage)
        why = refused_pods.shortened(hint)
        return Cause(reason, f"Job {job.name} gets no pod: {why}", job.uid, stage=job.stage, steps=steps)
    return Cause(reasons.POD_PENDING, f"Job {job.name} has no pod yet.", job.uid)


def _init_container(pod: PodView) -> Cause | None:
    """Return why our containers have not started if an init container, which only the cluster adds, holds them back."""
    state, name = pod.init_container, f"Init container {pod.init_name} of pod {pod.name}"
    if state.state == "running":
        return Cause(reasons.INIT_CONTAINER, f"{name} has not ended, or is not ready yet.")
    if state.state == "terminated":
        ended = f"ended with exit code {state.exit_code} ({state.reason})"
        return Cause(reasons.INIT_CONTAINER, f"{name} {ended}.")
    return _waiting_container(name, state)


def _waiting_container(name: str, container: ContainerView) -> Cause | None:
    """Return why a container has not started; None if it has, or gives no reason."""
    if container.state != "waiting" or container.reason in _NO_CAUSE:
        return None
    message = f"{name}: {_one_sentence(f'{container.reason}: {container.message}')}"
    if container.reason in _IMAGE:
        return Cause(reasons.IMAGE_PULL_FAILED, message)
    return _missing_object(message) or Cause(reasons.named(container.reason), message)


def _one_sentence(text: str) -> str:
    return text.strip().rstrip(":.") + "."


def _missing_object(message: str, *, uid: str = "") -> Cause | None:
    """Return the cause if the message says that a Secret or ConfigMap does not exist."""
    lowered = message.lower()
    if "secret" in lowered and "not found" in lowered:
        return Cause(reasons.SECRET_MISSING, message, uid)
    if "configmap" in lowered and "not found" in lowered:
        return Cause(reasons.CONFIG_MAP_MISSING, message, uid)
    return None


def _age(since: str, now: datetime) -> float:
    return clock.seconds_between(since, clock.to_text(now)) or 0.0
