"""What a TrainingRun may put into its pods: the installer's allow-lists, checked once, before acceptance.

Invariant: every field of the spec that reaches a pod is checked here, in storage_policy.py, or bounded by the CRD.
There are no fields for volumes, security context, node name or pull secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from trainingrun.api import reasons
from trainingrun.api.names import Stage
from trainingrun.api.pod_keys import gives_identity, is_reserved
from trainingrun.api.settings import Policy, Settings
from trainingrun.domain import endpoints
from trainingrun.domain.allow_lists import forbidden, matches
from trainingrun.domain.endpoints import REFUSED_NETWORKS
from trainingrun.domain.refusal import NotAcceptedError
from trainingrun.domain.storage_policy import check_storage

PODS: Final = (*(str(stage) for stage in Stage), "tensorboard")
# Classes above those of all users: with one, a pod takes the place of the cluster's own.
SYSTEM_CLASSES: Final = ("system-cluster-critical", "system-node-critical")
CONTROL_PLANE: Final = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def check(spec: Mapping[str, Any], *, settings: Settings) -> tuple[str, ...]:
    """Return networks that the run's agents must not use; raises NotAcceptedError naming field and Helm value."""
    policy = settings.policy
    image = (spec.get("train") or {}).get("image")
    if image and not allows_image(image, settings=settings):
        allowed = (*policy.images, settings.trainer_image)
        raise forbidden("spec.train.image", repr(image), setting="policy.images", allowed=allowed)
    for name in PODS:
        pod = (spec.get(name) or {}).get("pod") or {}
        _check_pod(f"spec.{name}.pod", pod, policy=policy, default_class=settings.run_pods.priority_class)
    return check_storage(spec["storage"], settings=settings)


def allows_image(image: str, *, settings: Settings) -> bool:
    """Return whether `train.image` may be this image."""
    return matches(image, (*settings.policy.images, settings.trainer_image))


def refused_networks_of_weights(url: str, *, settings: Settings) -> tuple[str, ...]:
    """Return networks in which an https address of weights must not be; raises NotAcceptedError.

    As for storage: a host that the installer allows without a wildcard may be in any network.
    """
    field, allowed = "spec.model.pretrained.uri", settings.policy.weight_hosts
    host = url.removeprefix("https://").partition("/")[0]
    try:
        endpoint = endpoints.parse(f"https://{host}")
    except ValueError as error:
        raise NotAcceptedError(reasons.INVALID_WEIGHTS_ADDRESS, f"{field}: {url!r} {error}.") from error
    covering = [pattern for pattern in allowed if endpoints.allows(f"https://{pattern}", endpoint)]
    if not covering:
        raise forbidden(field, f"host {host!r}", setting="policy.weightHosts", allowed=allowed)
    return () if any(endpoints.is_exact(f"https://{pattern}") for pattern in covering) else REFUSED_NETWORKS


def repository(image: str) -> str:
    """Return an image reference without its digest and tag."""
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


def _check_pod(field: str, pod: Mapping[str, Any], *, policy: Policy, default_class: str) -> None:
    _check_tolerations(f"{field}.tolerations", pod.get("tolerations") or (), allowed=policy.tolerations)
    _check_keys(f"{field}.labels", pod.get("labels") or {}, setting="policy.podLabels", allowed=policy.pod_labels)
    _check_keys(
        f"{field}.annotations",
        pod.get("annotations") or {},
        setting="policy.podAnnotations",
        allowed=policy.pod_annotations,
    )
    wanted = pod.get("priorityClassName")
    allowed = policy.priority_classes
    by_name = wanted in (*allowed, default_class)
    if wanted and not by_name and (wanted in SYSTEM_CLASSES or not matches(wanted, allowed)):
        raise forbidden(f"{field}.priorityClassName", repr(wanted), setting="policy.priorityClasses", allowed=allowed)


def _check_keys(field: str, keys: Iterable[str], *, setting: str, allowed: tuple[str, ...]) -> None:
    for key in keys:
        if is_reserved(key):
            what = f"{field}: {key!r} is a key that Kubernetes or the operator writes."
            raise NotAcceptedError(reasons.FORBIDDEN_RESERVED_KEY, what)
        # A wildcard never allows what gives the trainer an identity.
        if key not in allowed and (gives_identity(key) or not matches(key, allowed)):
            raise forbidden(field, repr(key), setting=setting, allowed=allowed)


def _check_tolerations(field: str, tolerations: Iterable[Mapping[str, Any]], *, allowed: tuple[str, ...]) -> None:
    for number, toleration in enumerate(tolerations):
        key = toleration.get("key") or ""
        # Without a key it tolerates every taint, also those of control-plane nodes; a wildcard never allows these.
        needed = (key,) if key else CONTROL_PLANE
        allowed_by_name = all(each in allowed for each in needed)
        if allowed_by_name or (key and key not in CONTROL_PLANE and matches(key, allowed)):
            continue
        value = repr(key) if key else "every taint (no key)"
        raise forbidden(f"{field}[{number}]", value, setting="policy.tolerations", allowed=allowed)
