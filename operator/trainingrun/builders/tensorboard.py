"""TensorBoard beside a run: a mirror of its event files and the server, behind a Service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api.names import LABEL_COMPONENT, TENSORBOARD_PORT, tensorboard_name
from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.builders.common import RESOLVED_DIGEST, SHARED, agent_container, metadata, plain_container, pod_spec

COMPONENT: Final = "tensorboard"
SCRATCH: Final = "5Gi"


def build_tensorboard(
    run: Run, *, resolved: Mapping[str, Any], digest: str, settings: Settings
) -> list[dict[str, Any]]:
    """Deployment and Service, in the order of their creation; `digest` is that of the resolved document."""
    return [_deployment(run, resolved=resolved, digest=digest, settings=settings), _service(run)]


def _selector(run: Run) -> dict[str, str]:
    labels = run.labels
    return {**labels, LABEL_COMPONENT: COMPONENT}


def _deployment(run: Run, *, resolved: Mapping[str, Any], digest: str, settings: Settings) -> dict[str, Any]:
    mirror = agent_container(
        run,
        name="mirror",
        image=resolved["images"]["agent"],
        args=["mirror"],
        env={RESOLVED_DIGEST: digest},
        settings=settings,
    )
    mirror["resources"] = {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}}
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
    board["resources"] = {"requests": {"cpu": "50m", "memory": "192Mi"}, "limits": {"memory": "1Gi"}}
    board["readinessProbe"] = {"httpGet": {"path": "/", "port": TENSORBOARD_PORT}, "periodSeconds": 3}
    pod = pod_spec(run, containers=[mirror, board], scratch=SCRATCH, settings=settings, grace_seconds=5)
    pod["restartPolicy"] = "Always"
    meta = metadata(run, name=tensorboard_name(run.name), labels={LABEL_COMPONENT: COMPONENT})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 0,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": _selector(run)},
            "template": {"metadata": {"labels": _selector(run)}, "spec": pod},
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
