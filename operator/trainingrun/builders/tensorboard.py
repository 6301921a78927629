"""TensorBoard beside a run: a mirror of its event files and the server, behind a Service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api.names import LABEL_COMPONENT, TENSORBOARD_PORT, tensorboard_name
from trainingrun.api.pod_keys import SAFE_TO_EVICT
from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.builders.common import (
    RESOLVED_DIGEST,
    SHARED,
    agent_container,
    asked_of_pod,
    copy_resources,
    labels_of_pod,
    metadata,
    plain_container,
    pod_spec,
    pod_template,
)

COMPONENT: Final = "tensorboard"
SCRATCH: Final = "5Gi"
# Its emptyDir volumes would keep the cluster autoscaler from removing the node; they hold nothing but a copy.
YIELDS: Final = {SAFE_TO_EVICT: "true"}


def build_tensorboard(
    run: Run, *, resolved: Mapping[str, Any], digest: str, settings: Settings
) -> list[dict[str, Any]]:
    """Deployment and Service, in the order of their creation; `digest` is that of the resolved document."""
    return [_deployment(run, resolved=resolved, digest=digest, settings=settings), _service(run)]


def _selector(run: Run) -> dict[str, str]:
    labels = run.labels
    return {**labels, LABEL_COMPONENT: COMPONENT}


def _deployment(run: Run, *, resolved: Mapping[str, Any], digest: str, settings: Settings) -> dict[str, Any]:
    asked = asked_of_pod(resolved, COMPONENT)
    mirror = agent_container(
        run,
        name="mirror",
        image=resolved["images"]["agent"],
        args=["mirror"],
        env={RESOLVED_DIGEST: digest},
        settings=settings,
    )
    mirror["resources"] = copy_resources(settings.tensorboard.mirror_resources)
    board = plain_container(
        name=COMPONENT,
        image=resolved["images"]["tensorboard"],
        args=[
            "--logdir",
            f"{SHARED}/logs",
            "--host",
            "0.0.0.0",  # noqa: S104 - inside its pod, reached through the Service only
            "--port",
            str(TENSORBOARD_PORT),
            "--reload_interval",
            "5",
            "--window_title",
            f"{run.namespace}/{run.name}",
        ],
        settings=settings,
    )
    board["ports"] = [{"name": "http", "containerPort": TENSORBOARD_PORT}]
    board["resources"] = copy_resources(asked.get("resources") or settings.tensorboard.resources)
    pod = pod_spec(
        run,
        containers=[mirror, board],
        scratch=SCRATCH,
        settings=settings,
        placement=asked,
        priority_class=asked.get("priorityClassName") or settings.tensorboard.priority_class,
        grace_seconds=5,
    )
    pod["restartPolicy"] = "Always"
    labels = labels_of_pod(asked, own=_selector(run), settings=settings)
    annotations = {**YIELDS, **(asked.get("annotations") or {})}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(run, name=tensorboard_name(run.name), labels=labels),
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 0,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": _selector(run)},
            "template": pod_template(pod, labels=labels, annotations=annotations, settings=settings),
        },
    }


def _service(run: Run) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(run, name=tensorboard_name(run.name), labels={LABEL_COMPONENT: COMPONENT}),
        "spec": {
            "selector": _selector(run),
            "ports": [{"name": "http", "port": TENSORBOARD_PORT, "targetPort": "http", "protocol": "TCP"}],
        },
    }
