"""Build the objects that tests start from: a TrainingRun, views of its Jobs and pods, settings."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self, cast

from trainingrun.api import clock
from trainingrun.api.names import Stage, job_name
from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.api.status import Status
from trainingrun.domain.observe import ContainerView, JobView, PodView

START = datetime(2026, 1, 1, tzinfo=UTC)
RUN_UID = "11111111-2222-3333-4444-555555555555"
SETTINGS = Settings(agent_image="agent:1", trainer_image="trainer:1", tensorboard_image="tensorboard:1")
SPEC: dict[str, Any] = {
    "storage": {
        "endpoint": "http://s3.storage:7070",
        "region": "us-east-1",
        "bucket": "detectors",
        "prefix": "",
        "outageToleranceSeconds": 3600,
        "credentials": {"secretName": "trainingrun-s3"},
    },
    "dataset": {
        "train": {"uri": "tire/images/train/"},
        "eval": {"uri": "tire/images/test/"},
        "classes": ["tire"],
        "maxBadFiles": "1%",
        "maxImageSide": 1024,
    },
    "model": {"network": "ssd_mobilenet_v1_0.25_128"},
    "prep": {"scratch": "20Gi"},
    "train": {"steps": 150, "gpus": 0, "scratch": "20Gi", "stallSeconds": 1800},
    "export": {"scratch": "20Gi", "evalImages": 500},
    "tensorboard": {"enabled": True, "ttlSecondsAfterFinished": 3600},
    "suspend": False,
    "retry": 0,
}


class RunBuilder:
    """Fluent builder of a TrainingRun with the API server's defaults."""

    def __init__(self, name: str = "tire") -> None:
        self._name = name
        self._spec = copy.deepcopy(SPEC)
        self._status: dict[str, Any] = {}

    def spec(self, **fields: Any) -> Self:
        """Set first-level fields; objects are merged into the defaults."""
        for key, value in fields.items():
            old = self._spec.get(key)
            self._spec[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        return self

    def without(self, *fields: str) -> Self:
        for field in fields:
            self._spec.pop(field, None)
        return self

    def status(self, **fields: Any) -> Self:
        self._status.update(fields)
        return self

    def condition(self, kind: str, status: str = "True", *, reason: str = "Completed") -> Self:
        conditions = self._status.setdefault("conditions", [])
        conditions.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": "",
                "observedGeneration": 1,
                "lastTransitionTime": clock.to_text(START),
            }
        )
        return self

    def body(self) -> dict[str, Any]:
        """The TrainingRun as a manifest."""
        return {
            "apiVersion": "trainingrun.dev/v1alpha1",
            "kind": "TrainingRun",
            "metadata": {"name": self._name},
            "spec": copy.deepcopy(self._spec),
            **({"status": copy.deepcopy(self._status)} if self._status else {}),
        }

    def build(self) -> Run:
        """The TrainingRun as the operator reads it."""
        return Run(
            namespace="default",
            name=self._name,
            uid=RUN_UID,
            generation=1,
            resource_version="1",
            created=clock.to_text(START),
            spec=copy.deepcopy(self._spec),
            status=cast("Status", copy.deepcopy(self._status)),
        )


def a_run(name: str = "tire") -> RunBuilder:
    return RunBuilder(name)


def a_job(stage: Stage = Stage.PREP, attempt: int = 1, *, run: str = "tire", **fields: Any) -> JobView:
    """A view of a Job of the run."""
    job = JobView(
        namespace="default",
        name=job_name(run, stage=stage, attempt=attempt),
        uid=f"job-{stage}-{attempt}",
        run=run,
        run_uid=RUN_UID,
        owner_uid=RUN_UID,
        stage=stage,
        attempt=attempt,
        created=clock.to_text(START),
    )
    return replace(job, **fields)


def a_pod(stage: Stage = Stage.PREP, attempt: int = 1, *, run: str = "tire", **fields: Any) -> PodView:
    """A view of the pod of `a_job`."""
    pod = PodView(
        namespace="default",
        name=f"{job_name(run, stage=stage, attempt=attempt)}-x1",
        uid=f"pod-{stage}-{attempt}",
        run=run,
        run_uid=RUN_UID,
        job_uid=f"job-{stage}-{attempt}",
        stage=stage,
        attempt=attempt,
        created=clock.to_text(START),
    )
    return replace(pod, **fields)


def terminated(message: str = "", *, exit_code: int = 0, reason: str = "", at: datetime = START) -> ContainerView:
    return ContainerView("terminated", reason, message, exit_code, clock.to_text(at), clock.to_text(at))


def running(at: datetime = START) -> ContainerView:
    return ContainerView("running", started_at=clock.to_text(at))


def waiting(reason: str, message: str = "") -> ContainerView:
    return ContainerView("waiting", reason, message)


def after(seconds: float) -> datetime:
    """The time so many seconds after START."""
    return START + timedelta(seconds=seconds)
