"""The Job of an attempt, with one pod: the Job controller never replaces it, the operator starts the next attempt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api.names import (
    AGENT,
    AGENT_PORT,
    ANNOTATION_POD_SETTINGS,
    GPU_RESOURCE,
    LABEL_ATTEMPT,
    LABEL_COMPONENT,
    LABEL_STAGE,
    WORKER,
    Stage,
    job_name,
)
from trainingrun.api.pod_keys import SAFE_TO_EVICT
from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.builders.common import (
    MODEL_CONFIG_FOLDER,
    MODEL_CONFIG_VOLUME,
    RESOLVED_DIGEST,
    SHARED,
    agent_container,
    asked_of_pod,
    copy_resources,
    labels_of_pod,
    metadata,
    model_config_volume,
    plain_container,
    pod_spec,
    pod_template,
)
from trainingrun.builders.memory import default_memory

CHANGES: Final = "TRAININGRUN_CHANGES"  # what an attempt does otherwise than resolved.json says
GRACE_SECONDS: Final = 30
TRAIN_GRACE_SECONDS: Final = 180  # of runs that were accepted before the resolved document had it
DEFAULT_SCRATCH: Final = "20Gi"
# Preparation asks for little, so that it starts on a full node: it is the first to find a wrong name, key or label.
PREP_RESOURCES: Final[Mapping[str, Mapping[str, str]]] = {
    "requests": {"cpu": "100m", "memory": "256Mi"},
    "limits": {"memory": "1Gi"},
}
CPUS: Final[Mapping[Stage, str]] = {Stage.TRAIN: "2", Stage.EXPORT: "1"}
# For the autoscalers that most clusters have: do not end the pod only to save a node.
KEEP: Final = {"karpenter.sh/do-not-disrupt": "true", SAFE_TO_EVICT: "false"}


def build_job(
    run: Run,
    *,
    stage: Stage,
    attempt: int,
    resolved: Mapping[str, Any],
    digest: str,
    settings: Settings,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Job of one attempt, built from the resolved document; its agent uses no document of another digest."""
    containers = _containers(run, stage=stage, attempt=attempt, resolved=resolved, digest=digest, settings=settings)
    if changes:
        containers[0]["env"].append({"name": CHANGES, "value": json.dumps(changes, sort_keys=True)})
    asked = asked_of_pod(resolved, stage)
    own = {**run.labels, LABEL_STAGE: str(stage), LABEL_ATTEMPT: str(attempt), LABEL_COMPONENT: str(stage)}
    labels = labels_of_pod(asked, own=own, settings=settings)
    annotations = {**(asked.get("annotations") or {}), **_kept(stage, settings=settings)}
    stage_spec: Mapping[str, Any] = run.spec.get(str(stage)) or {}
    config = model_config_volume(resolved) if stage is Stage.PREP else None
    pod = pod_spec(
        run,
        containers=containers,
        scratch=stage_spec.get("scratch", DEFAULT_SCRATCH),
        settings=settings,
        placement=stage_spec.get("pod"),
        priority_class=asked.get("priorityClassName") or settings.run_pods.priority_class,
        grace_seconds=_grace_seconds(stage, resolved),
        more_volumes=[config] if config else [],
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            **metadata(run, name=job_name(run.name, stage=stage, attempt=attempt), labels=labels),
            "annotations": {ANNOTATION_POD_SETTINGS: settings.run_pods.digest},
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "template": pod_template(pod, labels=labels, annotations=annotations, settings=settings),
        },
    }


def _grace_seconds(stage: Stage, resolved: Mapping[str, Any]) -> int:
    """Grace period of the pod; training has a checkpoint to save and upload."""
    if stage is not Stage.TRAIN:
        return GRACE_SECONDS
    return int(resolved["train"].get("terminationGracePeriodSeconds", TRAIN_GRACE_SECONDS))


def _kept(stage: Stage, *, settings: Settings) -> Mapping[str, str]:
    return KEEP if stage is Stage.TRAIN and settings.run_pods.keep_training else {}


def _containers(
    run: Run, *, stage: Stage, attempt: int, resolved: Mapping[str, Any], digest: str, settings: Settings
) -> list[dict[str, Any]]:
    agent = agent_container(
        run,
        name=AGENT,
        image=resolved["images"]["agent"],
        args=[str(stage)],
        env={
            "TRAININGRUN_STAGE": str(stage),
            "TRAININGRUN_ATTEMPT": str(attempt),
            "TERMINATION_GRACE_SECONDS": str(_grace_seconds(stage, resolved)),
            RESOLVED_DIGEST: digest,
        },
        settings=settings,
    )
    agent["terminationMessagePath"] = "/dev/termination-log"
    agent["terminationMessagePolicy"] = "File"
    agent["livenessProbe"] = _probe("/healthz", delay=30, failures=12)
    if stage is Stage.PREP:
        agent["resources"] = _resources(run, stage=stage, resolved=resolved)
        if model_config_volume(resolved):
            mount = {"name": MODEL_CONFIG_VOLUME, "mountPath": MODEL_CONFIG_FOLDER, "readOnly": True}
            agent["volumeMounts"].append(mount)
        return [agent]
    worker = plain_container(
        name=WORKER[stage],
        image=resolved["images"]["trainer"],
        args=[str(stage), "--shared", SHARED],
        settings=settings,
    )
    worker["resources"] = _resources(run, stage=stage, resolved=resolved)
    # The agent answers for the trainer, so this ends a stopped or stalled trainer, and one whose agent has died.
    worker["livenessProbe"] = _probe("/trainer-alive", delay=10, failures=6)
    return [agent, worker]


def _probe(path: str, *, delay: int, failures: int) -> dict[str, Any]:
    """Probe of the agent; the kubelet alone ends the container, without the operator or any network policy.

    The agent knows delay and period (kubelet_probes.py): it ends at a moment at which no probe is due.
    """
    return {
        "httpGet": {"path": path, "port": AGENT_PORT},
        "initialDelaySeconds": delay,
        "periodSeconds": 5,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
        "terminationGracePeriodSeconds": 20,
    }


def default_resources(stage: Stage, resolved: Mapping[str, Any]) -> Mapping[str, Mapping[str, str]]:
    """Resources of the stage's main container, unless the spec sets them."""
    if stage is Stage.PREP:
        return PREP_RESOURCES
    return {"requests": {"cpu": CPUS[stage], "memory": default_memory(stage, resolved)}}


def _resources(run: Run, *, stage: Stage, resolved: Mapping[str, Any]) -> dict[str, Any]:
    pod = (run.spec.get(str(stage)) or {}).get("pod") or {}
    resources = copy_resources(pod.get("resources") or default_resources(stage, resolved))
    gpus = resolved["train"]["gpus"]
    if gpus and stage is Stage.TRAIN:
        resources.setdefault("limits", {})[GPU_RESOURCE] = str(gpus)
    return resources
