"""Why a pod has not started: the cause, and the next step for the user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trainingrun.api import clock, reasons
from trainingrun.api.reason import Reason
from trainingrun.domain import refused_pods
from trainingrun.domain.nodes import UNKNOWN, Nodes
from trainingrun.domain.observe import ContainerView, JobView, PodView
from trainingrun.domain.room import explain
from trainingrun.domain.texts import cut, sentences

# Events are read at the first look after this long: the status has the cause within five seconds.
NO_POD_SECONDS: Final = 2
CREATING_SECONDS: Final = 2
OF_EVERY_POD: Final = frozenset((reasons.POD_PENDING, reasons.CONTAINER_CREATING))
_IMAGE: Final = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
STARTS: Final = "The pod then starts by itself."
# In the refusal of a pod, and in the words of a kubelet that gets no token. Kubernetes itself creates `default`.
_NO_ACCOUNT: Final = re.compile(r'serviceaccounts? "(?!default")([-.a-z0-9]{1,253})" not found')
_NO_CAUSE: Final = {"", "ContainerCreating", "PodInitializing"}


@dataclass(frozen=True, slots=True)
class Cause:
    """What an attempt waits for; `subject_uid` is of the object whose warning Events may explain it.

    `detail` is what the operator adds to the words of Kubernetes.
    """

    reason: Reason
    message: str
    subject_uid: str = ""
    stage: str = ""
    steps: str = ""
    account: str = ""
    detail: str = ""

    @property
    def what(self) -> str:
        """The cause without the next step."""
        return sentences(self.message, self.detail)

    @property
    def hint(self) -> str:
        """What the user can do, for a pod that is still wanted or for the next one."""
        return self.reason.hint_with(stage=self.stage, steps=self.steps, account=self.account)

    @property
    def is_of_every_pod(self) -> bool:
        """Whether every pod waits for this, if only for a moment."""
        return self.reason in OF_EVERY_POD

    def text(self, limit: int) -> str:
        """The message, cut to fit with detail and next step, which are kept whole."""
        end = sentences(self.detail, *((self.hint, STARTS) if self.hint else ()))
        return sentences(cut(self.message, limit - len(end) - 2), end)


def cause_of(
    job: JobView, pod: PodView | None, *, hints: Mapping[str, str], now: datetime, nodes: Nodes = UNKNOWN
) -> Cause:
    """Return what keeps the attempt from starting; `hints` holds the newest warning Event by object UID."""
    if pod is None:
        return _no_pod(job, hints=hints, now=now)
    if pod.unschedulable:
        return _no_room(pod, nodes=nodes)
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
    if not hint or hint.startswith(("FailedScheduling", *(("FailedMount",) if pod.mounted else ()))):  # old Events
        return Cause(reasons.CONTAINER_CREATING, f"Pod {pod.name} is being started on node {pod.node}.", pod.uid)
    message = f"Pod {pod.name}: {hint}"
    return _missing_object(message, uid=pod.uid) or Cause(reasons.CONTAINER_CREATING, message, pod.uid)


def _no_room(pod: PodView, *, nodes: Nodes) -> Cause:
    room = explain(pod, nodes)
    # What follows the first sentence is about preemption, which helps nobody here.
    message = f"No node can run pod {pod.name}: {_one_sentence(pod.unschedulable.partition('. ')[0])}"
    return Cause(room.reason, message, stage=pod.stage, detail=room.sentence)


def job_suspended(job: JobView) -> Cause:
    """Return the cause of an attempt whose Job waits for whatever suspended it; the operator never suspends a Job."""
    who = "something else than the operator, such as Kueue or an administrator"
    return Cause(reasons.JOB_SUSPENDED, f"Job {job.name} was suspended by {who}.")


def _no_pod(job: JobView, *, hints: Mapping[str, str], now: datetime) -> Cause:
    if job.suspended:
        return job_suspended(job)
    if job.pod_ended or job.ending:
        return Cause(reasons.POD_PENDING, f"The pod of Job {job.name} has ended; waiting for the end of the Job.")
    if _age(job.started_at or job.created, now) < NO_POD_SECONDS:
        return Cause(reasons.POD_PENDING, f"Job {job.name} was created.")
    hint = hints.get(job.uid, "")
    if hint:
        message = f"Job {job.name} gets no pod: {refused_pods.shortened(hint)}"
        reason, steps = refused_pods.explain(hint, stage=job.stage)
        return _missing_account(message, uid=job.uid) or Cause(reason, message, job.uid, stage=job.stage, steps=steps)
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
    """Return the cause if the message says that a Secret, ServiceAccount, ConfigMap or its key does not exist."""
    if account := _missing_account(message, uid=uid):
        return account
    lowered = message.lower()
    if "secret" in lowered and "not found" in lowered:
        return Cause(reasons.SECRET_MISSING, message, uid)
    if "configmap" in lowered and ("not found" in lowered or "non-existent config key" in lowered):
        return Cause(reasons.CONFIG_MAP_MISSING, message, uid)
    return None


def _missing_account(message: str, *, uid: str) -> Cause | None:
    found = _NO_ACCOUNT.search(message)
    return Cause(reasons.SERVICE_ACCOUNT_MISSING, message, uid, account=found[1]) if found else None


def _age(since: str, now: datetime) -> float:
    return clock.seconds_between(since, clock.to_text(now)) or 0.0
