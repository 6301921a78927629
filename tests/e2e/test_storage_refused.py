"""Storage that cannot work is said within 20 seconds of apply, each cause by a reason of its own, and costs no GPU."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest

from trdemo.scene import Object, Scene, tire_run

pytestmark = pytest.mark.node

SECONDS = 20
GOOD = "trainingrun-s3"


def credentials(name: str, **keys: str) -> Object:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in keys.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


@pytest.fixture(scope="module")
def secrets(scene: Scene, namespace: str) -> None:
    storage = scene.place.storage
    made = [
        credentials("trainingrun-wrong", AWS_ACCESS_KEY_ID=storage.access_key, AWS_SECRET_ACCESS_KEY="nonsense"),
        credentials("trainingrun-unknown", AWS_ACCESS_KEY_ID="AKNOBODY", AWS_SECRET_ACCESS_KEY="nonsense"),
        credentials("trainingrun-half", AWS_ACCESS_KEY_ID=storage.access_key),
    ]
    for secret in made:
        secret["metadata"]["namespace"] = namespace
    scene.place.kubectl.apply(*made)


CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "wrong-secret": ({"storage": {"credentials": {"secretName": "trainingrun-wrong"}}}, "InvalidCredentials", "Secret"),
    "unknown-key": (
        {"storage": {"credentials": {"secretName": "trainingrun-unknown"}}},
        "InvalidCredentials",
        "Secret",
    ),
    "half-a-secret": (
        {"storage": {"credentials": {"secretName": "trainingrun-half"}}},
        "CredentialsMissing",
        "AWS_SECRET_ACCESS_KEY",
    ),
    "no-bucket": ({"storage": {"bucket": "no-such-bucket"}}, "BucketNotFound", "no-such-bucket"),
    "wrong-port": ({"storage": {"endpoint": "http://s3.storage:7071"}}, "EndpointUnreachable", "s3.storage:7071"),
    "wrong-host": ({"storage": {"endpoint": "http://nowhere.storage:7070"}}, "EndpointUnreachable", "nowhere.storage"),
    "tls-to-plain": ({"storage": {"endpoint": "https://s3.storage:7070"}}, "TLSError", "https://s3.storage:7070"),
    "empty-prefix": ({"dataset": {"train": {"uri": "tire/nothing/"}}}, "EmptyPrefix", "tire/nothing/"),
}


@pytest.mark.parametrize("case", CASES)
def test_cause_shows_within_twenty_seconds(scene: Scene, namespace: str, secrets: None, case: str) -> None:
    changes, reason, named = CASES[case]
    # On a laptop-sized node pods wait for a processor, which is not what is measured here.
    small = {"pod": {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}}}}
    scene.apply(tire_run(case, prep=small, **changes), namespace=namespace)
    started = time.monotonic()
    status = scene.until(case, storage_not_ready, namespace=namespace, seconds=SECONDS, what="StorageReady=False")
    took = time.monotonic() - started
    told = next(c for c in status["conditions"] if c["type"] == "StorageReady")
    scene.place.kubectl("delete", "trainingrun", case, "-n", namespace, "--wait=false")
    assert (told["reason"], named in told["message"]) == (reason, True), told
    assert took < SECONDS
    assert scene.place.storage.secret_key not in str(status)


def storage_not_ready(status: Object) -> bool:
    return any(c["type"] == "StorageReady" and c["status"] == "False" for c in status.get("conditions", ()))
