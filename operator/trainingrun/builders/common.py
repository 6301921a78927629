"""What all pods of a run have in common: restricted security, volumes, credentials as files, no token of the API.

Invariant: every pod built here passes the Pod Security Standard `restricted`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from trainingrun.api.names import AGENT_PORT, RESOLVED_KEY, resolved_name
from trainingrun.api.pod_keys import SKIP_CONTAINERS
from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.builders.proxy import proxy_of, web_proxy_of

UID: Final = 65532
SHARED: Final = "/shared"
CREDENTIALS: Final = "/var/run/secrets/trainingrun/s3"
CA_FOLDER: Final = "/etc/trainingrun/ca"
MODEL_CONFIG_FOLDER: Final = "/etc/trainingrun/model-config"
MODEL_CONFIG_VOLUME: Final = "model-config"
PROXY: Final = "TRAININGRUN_STORAGE_PROXY"
WEB_PROXY: Final = "TRAININGRUN_WEB_PROXY"
TOKEN_SECONDS: Final = 3600  # the kubelet replaces a token after four fifths of this
RESOLVED_DIGEST: Final = "TRAININGRUN_RESOLVED_SHA256"  # the only resolved.json that an agent may use
CONTAINER_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_SECURITY: Final = {
    "runAsNonRoot": True,
    "runAsUser": UID,
    "runAsGroup": UID,
    "fsGroup": UID,
    "seccompProfile": {"type": "RuntimeDefault"},
}
# Pods leave an unreachable node after a minute instead of the default five. The first matching toleration decides, so
# those of the spec come before these.
NODE_TOLERATIONS: Final = tuple(
    {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
    for what in ("unreachable", "not-ready")
)


def metadata(run: Run, *, name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Metadata of a child that is deleted with its run."""
    return {
        "name": name,
        "namespace": run.namespace,
        "labels": {**run.labels, **labels},
        "ownerReferences": [run.owner_reference],
    }


def asked_of_pod(resolved: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Pod settings of a stage, or of TensorBoard, that were checked when the run was accepted."""
    return (resolved.get("pods") or {}).get(name) or {}


def labels_of_pod(asked: Mapping[str, Any], *, own: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Labels of a pod: the operator's own replace those of the installer, and these replace those of the run."""
    return {**(asked.get("labels") or {}), **settings.run_pods.labels, **own}


def pod_template(
    spec: Mapping[str, Any], *, labels: Mapping[str, str], annotations: Mapping[str, str], settings: Settings
) -> dict[str, Any]:
    """Pod template; annotations of the installer replace those given, and the operator's own replace both."""
    meta: dict[str, Any] = {"labels": dict(labels)}
    annotations = {**annotations, **settings.run_pods.annotations}
    if "serviceAccountName" in spec:  # the agent has its token; the trainer must get nothing of the account
        annotations[SKIP_CONTAINERS] = ",".join(container["name"] for container in spec["containers"])
    if annotations:
        meta["annotations"] = annotations
    return {"metadata": meta, "spec": spec}


def copy_resources(resources: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Resources of a container as a dictionary of its own."""
    return {kind: dict(values) for kind, values in resources.items()}


def agent_container(
    run: Run, *, name: str, image: str, args: list[str], env: Mapping[str, str], settings: Settings
) -> dict[str, Any]:
    """Container of the agent image: the only one that sees credentials, as files."""
    mounts: list[dict[str, Any]] = [
        # By subPath: a folder mount would be read-only and could not hold the CA folder's mount below it.
        {
            "name": "resolved",
            "mountPath": f"/etc/trainingrun/{RESOLVED_KEY}",
            "subPath": RESOLVED_KEY,
            "readOnly": True,
        },
        {"name": "credentials", "mountPath": CREDENTIALS, "readOnly": True},
    ]
    if "caBundle" in run.spec["storage"]:
        mounts.append({"name": "ca", "mountPath": CA_FOLDER, "readOnly": True})
    access = settings.storage_access
    proxies = {PROXY: proxy_of(run.spec["storage"], access), WEB_PROXY: web_proxy_of(run.spec, access)}
    container = plain_container(name=name, image=image, args=args, settings=settings)
    container["env"] = [
        *({"name": key, "value": value} for key, value in env.items()),
        {"name": "TRAININGRUN_RUN_UID", "value": run.uid},
        *({"name": key, "value": proxy} for key, proxy in proxies.items() if proxy),
        _from_field("POD_NAME", "metadata.name"),
        _from_field("POD_UID", "metadata.uid"),
        _from_field("POD_IP", "status.podIP"),
    ]
    container["ports"] = [{"name": "progress", "containerPort": AGENT_PORT}]
    container["volumeMounts"] += mounts
    container["resources"] = copy_resources(settings.run_pods.agent_resources)
    return container


def plain_container(*, name: str, image: str, args: list[str], settings: Settings) -> dict[str, Any]:
    """Container with the shared folder and its own /tmp, without credentials."""
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": args,
        "env": [],
        "securityContext": dict(CONTAINER_SECURITY),
        "volumeMounts": [
            {"name": "shared", "mountPath": SHARED},
            {"name": f"tmp-{name}", "mountPath": "/tmp"},  # noqa: S108 - a volume of its own
        ],
    }


def pod_spec(
    run: Run,
    *,
    containers: list[dict[str, Any]],
    scratch: str,
    settings: Settings,
    placement: Mapping[str, Any] | None = None,
    priority_class: str = "",
    grace_seconds: int = 120,
    more_volumes: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Spec of a pod with these containers; `scratch` is the size limit of the shared folder as a quantity."""
    placement = placement or {}
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_seconds,
        "securityContext": dict(POD_SECURITY),
        "containers": containers,
        "volumes": [*_volumes(run, containers=containers, scratch=scratch, settings=settings), *more_volumes],
        "tolerations": [*(placement.get("tolerations") or ()), *NODE_TOLERATIONS],
    }
    if account := _service_account(run):
        spec["serviceAccountName"] = account
    if placement.get("nodeSelector"):
        spec["nodeSelector"] = dict(placement["nodeSelector"])
    if priority_class:
        spec["priorityClassName"] = priority_class
    if settings.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    return spec


def model_config_volume(resolved: Mapping[str, Any]) -> dict[str, Any] | None:
    """The user's own pipeline.config as a volume; None if it is not in a ConfigMap."""
    named = (resolved["model"].get("config") or {}).get("configMap")
    if not named:
        return None
    items = [{"key": named["key"], "path": "pipeline.config"}]
    return {"name": MODEL_CONFIG_VOLUME, "configMap": {"name": named["name"], "items": items}}


def _volumes(run: Run, *, containers: list[dict[str, Any]], scratch: str, settings: Settings) -> list[dict[str, Any]]:
    storage = run.spec["storage"]
    bundle = storage.get("caBundle")
    volumes: list[dict[str, Any]] = [
        {
            "name": "resolved",
            "configMap": {
                "name": resolved_name(run.name, uid=run.uid),
                "items": [{"key": RESOLVED_KEY, "path": RESOLVED_KEY}],
            },
        },
        {"name": "credentials", **_credentials(run, settings=settings)},
        {"name": "shared", "emptyDir": {"sizeLimit": scratch}},
        *({"name": f"tmp-{c['name']}", "emptyDir": {"sizeLimit": "1Gi"}} for c in containers),
    ]
    if bundle:
        item = {"key": bundle.get("key", "ca.crt"), "path": "ca.crt"}
        volumes.append({"name": "ca", "configMap": {"name": bundle["configMapName"], "items": [item]}})
    return volumes


def _service_account(run: Run) -> str:
    """Name of the ServiceAccount of the run's pods; empty: the namespace's default one, of which nothing is used."""
    return str(run.spec["storage"]["credentials"].get("serviceAccountName") or "")


def _credentials(run: Run, *, settings: Settings) -> dict[str, Any]:
    """Source of the volume that only agents mount: a token that is good for the STS alone, or the run's Secret."""
    if not _service_account(run):
        return {"secret": {"secretName": run.spec["storage"]["credentials"]["secretName"], "defaultMode": 0o440}}
    token = {
        "path": "token",
        "audience": settings.storage_access.token_audience,
        "expirationSeconds": TOKEN_SECONDS,
    }
    return {"projected": {"sources": [{"serviceAccountToken": token}], "defaultMode": 0o440}}


def _from_field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
