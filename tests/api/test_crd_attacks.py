"""A run has no fields that would give it too many rights: the API server refuses such fields by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

pytestmark = pytest.mark.api

Body = dict[str, Any]

WISHES: dict[str, Any] = {
    "serviceAccountName": "admin",
    "serviceAccount": "admin",
    "automountServiceAccountToken": True,
    "nodeName": "control-plane-1",
    "hostNetwork": True,
    "hostPID": True,
    "hostIPC": True,
    "imagePullSecrets": [{"name": "registry-of-others"}],
    "securityContext": {"privileged": True},
    "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    "hostPath": {"path": "/"},
    "initContainers": [{"name": "x", "image": "evil"}],
    "containers": [{"name": "x", "image": "evil"}],
    "env": [{"name": "LD_PRELOAD", "value": "/evil.so"}],
    "command": ["sh"],
    "runtimeClassName": "none",
    "hostAliases": [{"ip": "169.254.169.254", "hostnames": ["s3"]}],
    "dnsConfig": {"nameservers": ["192.0.2.1"]},
}
PLACES = ("spec", "spec.train", "spec.train.pod", "spec.prep.pod", "spec.export.pod", "spec.tensorboard.pod")


@pytest.mark.parametrize("field", WISHES)
def test_the_api_has_no_such_field(
    field: str, sample: Callable[..., Body], refusals: Callable[[Mapping[str, Any]], list[str]]
) -> None:
    for place in PLACES:
        (refusal,) = refusals(sample("minimal", {f"{place}.{field}": WISHES[field]}))
        assert f'unknown field "{place}.{field}' in refusal


NAMES = {"secretName": "a Secret", "serviceAccountName": "a ServiceAccount"}
MORE_OF_A_TOKEN = ("audience", "tokenAudience", "expirationSeconds")


@pytest.mark.parametrize("way", [*NAMES, "existingSecret", "accessKey", "namespace", *MORE_OF_A_TOKEN])
def test_credentials_are_a_name_in_the_runs_own_namespace_and_nothing_else(
    way: str, sample: Callable[..., Body], refusals: Callable[[Mapping[str, Any]], list[str]]
) -> None:
    other = {} if way in NAMES else {"secretName": "trainingrun-s3"}
    found = refusals(sample("minimal", {"spec.storage.credentials": {**other, way: "default/database"}}))
    if way in NAMES:
        assert [refusal.rpartition(": ")[2] for refusal in found] == [
            f"storage.credentials.{way} must be the name of {NAMES[way]} in this namespace"
        ]
    else:
        assert [f'unknown field "spec.storage.credentials.{way}"' in refusal for refusal in found] == [True]
