"""What a TrainingRun may put into its pods: the installer's allow-lists, checked once, before acceptance.

Invariant: every field of the spec that reaches a pod is checked here or bounded by the CRD. There are no fields for
service account, volumes, security context, node name or pull secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from trainingrun.api import reasons
from trainingrun.api.names import Stage
from trainingrun.api.settings import Settings
from trainingrun.domain import endpoints
from trainingrun.domain.endpoints import REFUSED_NETWORKS
from trainingrun.domain.refusal import NotAcceptedError

CONTROL_PLANE: Final = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def check(spec: Mapping[str, Any], *, settings: Settings) -> tuple[str, ...]:
    """Return networks that the run's agents must not use; raises NotAcceptedError naming field and Helm value."""
    policy = settings.policy
    image = (spec.get("train") or {}).get("image")
    if image and not allows_image(image, settings=settings):
        allowed = (*policy.images, settings.trainer_image)
        raise _forbidden("spec.train.image", repr(image), setting="policy.images", allowed=allowed)
    secret = spec["storage"]["credentials"]["secretName"]
    if not _matches(secret, policy.secret_names):
        field = "spec.storage.credentials.secretName"
        raise _forbidden(field, repr(secret), setting="policy.secretNames", allowed=policy.secret_names)
    for stage in Stage:
        tolerations = ((spec.get(str(stage)) or {}).get("pod") or {}).get("tolerations") or ()
        _check_tolerations(f"spec.{stage}.pod.tolerations", tolerations, allowed=policy.tolerations)
    return _refused_networks(spec["storage"], allowed=policy.endpoints)


def allows_image(image: str, *, settings: Settings) -> bool:
    """Return whether `train.image` may be this image."""
    return _matches(image, (*settings.policy.images, settings.trainer_image))


def repository(image: str) -> str:
    """Return an image reference without its digest and tag."""
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


def _refused_networks(storage: Mapping[str, Any], *, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Check the endpoint; one that the installer allows without a wildcard may be in any network."""
    field = "spec.storage.endpoint"
    text = storage.get("endpoint") or f"https://s3.{storage.get('region', 'us-east-1')}.amazonaws.com"
    shown = repr(text) if "endpoint" in storage else f"{text} (the default, AWS)"
    try:
        endpoint = endpoints.parse(text)
    except ValueError as error:
        raise NotAcceptedError(reasons.INVALID_ENDPOINT, f"{field}: {text!r} {error}.") from error
    covering = [pattern for pattern in allowed if endpoints.allows(pattern, endpoint)]
    if not covering:
        raise _forbidden(field, shown, setting="policy.endpoints", allowed=allowed)
    if any(endpoints.is_exact(pattern) for pattern in covering):
        return ()
    if endpoint.local:
        raise NotAcceptedError(
            reasons.FORBIDDEN_LOCAL_ADDRESS,
            f"{field}: {text!r} is the pod itself, its node or the metadata service of its cloud, not storage.",
        )
    return REFUSED_NETWORKS


def _check_tolerations(field: str, tolerations: Iterable[Mapping[str, Any]], *, allowed: tuple[str, ...]) -> None:
    for number, toleration in enumerate(tolerations):
        key = toleration.get("key") or ""
        # Without a key it tolerates every taint, also those of control-plane nodes; a wildcard never allows these.
        needed = (key,) if key else CONTROL_PLANE
        allowed_by_name = all(each in allowed for each in needed)
        if allowed_by_name or (key and key not in CONTROL_PLANE and _matches(key, allowed)):
            continue
        value = repr(key) if key else "every taint (no key)"
        raise _forbidden(f"{field}[{number}]", value, setting="policy.tolerations", allowed=allowed)


def _matches(value: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in patterns)


def _forbidden(field: str, value: str, *, setting: str, allowed: tuple[str, ...]) -> NotAcceptedError:
    return NotAcceptedError(
        reasons.FORBIDDEN_BY_POLICY,
        f"{field}: {value} is not allowed here; allowed: {', '.join(allowed) or 'none'}.",
        setting=setting,
    )
