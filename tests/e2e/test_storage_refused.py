"""Unusable storage is reported within 20 seconds of apply, with one reason per cause, before any GPU is used."""

from __future__ import annotations

import base64
import re
import shlex
from typing import Any

import pytest

from trcluster.waiting import patience
from trdemo.installation import SMALL_PREP, Installation, Object, tire_run

pytestmark = pytest.mark.node

SECONDS = 20
GOOD = "trainingrun-s3"


def credentials(name: str, **keys: str) -> Object:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in keys.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


@pytest.fixture(scope="module")
def secrets(installation: Installation, namespace: str) -> None:
    storage = installation.target.storage
    made = [
        credentials("trainingrun-wrong", AWS_ACCESS_KEY_ID=storage.access_key, AWS_SECRET_ACCESS_KEY="nonsense"),
        credentials("trainingrun-unknown", AWS_ACCESS_KEY_ID="AKNOBODY", AWS_SECRET_ACCESS_KEY="nonsense"),
        credentials("trainingrun-half", AWS_ACCESS_KEY_ID=storage.access_key),
    ]
    for secret in made:
        secret["metadata"]["namespace"] = namespace
    installation.target.kubectl.apply(*made)


LIST = "ListObjectsV2 on s3://{}/runs/storage-refused/{}-<uid>/preflight/ at {} failed: "
SERVER = "http://s3.storage:7070"
KEYS = (
    "Correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN (if any) in the Secret named in "
    "spec.storage.credentials.secretName, then raise spec.retry."
)
REACH = "Check that spec.storage.endpoint is right and reachable from the pod."


def using(secret: str) -> dict[str, Any]:
    return {"storage": {"credentials": {"secretName": secret}}}


# Changes to the demo's run; expected reason, message and next step.
CASES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "wrong-secret": (
        using("trainingrun-wrong"),
        "InvalidCredentials",
        LIST.format("detectors", "wrong-secret", SERVER)
        + "403 SignatureDoesNotMatch, The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        KEYS,
    ),
    "unknown-key": (
        using("trainingrun-unknown"),
        "InvalidCredentials",
        LIST.format("detectors", "unknown-key", SERVER)
        + "403 InvalidAccessKeyId, The AWS Access Key Id you provided does not exist in our records.",
        KEYS,
    ),
    "half-a-secret": (
        using("trainingrun-half"),
        "CredentialsMissing",
        (
            "key AWS_SECRET_ACCESS_KEY is missing from the Secret named in spec.storage.credentials.secretName, or is "
            "empty."
        ),
        "Add key AWS_SECRET_ACCESS_KEY to the Secret, then raise spec.retry.",
    ),
    "no-bucket": (
        {"storage": {"bucket": "no-such-bucket"}},
        "BucketNotFound",
        LIST.format("no-such-bucket", "no-bucket", SERVER) + "404 NoSuchBucket, The specified bucket does not exist.",
        (
            "Create bucket no-such-bucket, then raise spec.retry. If the name is wrong, create a new TrainingRun with "
            "another spec.storage.bucket."
        ),
    ),
    "wrong-port": (
        {"storage": {"endpoint": "http://s3.storage:7071"}},
        "EndpointUnreachable",
        LIST.format("detectors", "wrong-port", "http://s3.storage:7071") + "<network>",
        REACH,
    ),
    "wrong-host": (
        {"storage": {"endpoint": "http://nowhere.storage:7070"}},
        "EndpointUnreachable",
        LIST.format("detectors", "wrong-host", "http://nowhere.storage:7070") + "<network>",
        REACH,
    ),
    "tls-to-plain": (
        {"storage": {"endpoint": "https://s3.storage:7070"}},
        "TLSError",
        LIST.format("detectors", "tls-to-plain", "https://s3.storage:7070") + "<network>",
        (
            "Check http or https in spec.storage.endpoint. For a private CA, create a new TrainingRun with another "
            "spec.storage.caBundle. If the server's certificate has expired, renew it and raise spec.retry."
        ),
    ),
    "empty-prefix": (
        {"dataset": {"train": {"uri": "tire/nothing/"}}},
        "EmptyPrefix",
        "spec.dataset.train.uri: no object below s3://detectors/tire/nothing/.",
        (
            "Upload the images there, then raise spec.retry. If the address is wrong (case matters), create a new "
            "TrainingRun with another spec.dataset.train.uri."
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_cause_shows_within_twenty_seconds(
    installation: Installation, namespace: str, secrets: None, case: str
) -> None:
    changes, reason, what, hint = CASES[case]
    installation.apply(tire_run(case, prep=SMALL_PREP, **changes), namespace=namespace)
    status = installation.until(
        case, storage_not_ready, namespace=namespace, seconds=patience(SECONDS), what="StorageReady=False"
    )
    ready = next(c for c in status["conditions"] if c["type"] == "StorageReady")
    installation.target.kubectl("delete", "trainingrun", case, "-n", namespace, "--wait=false")
    assert (ready["reason"], ready["message"].endswith(f" {hint}")) == (reason, True), ready
    said = masked(ready["message"].removesuffix(f" {hint}"))
    assert said in (what, f"{what[: len(said) - 1]}…")  # a long cause is cut off and ends with …
    assert installation.target.storage.secret_key not in str(status)


def test_retry_goes_on_once_the_secret_is_complete(installation: Installation, namespace: str, secrets: None) -> None:
    run = tire_run("retried", prep=SMALL_PREP, storage={"credentials": {"secretName": "trainingrun-half"}})
    installation.apply(run, namespace=namespace)
    failed = installation.finished("retried", namespace=namespace, seconds=60)
    command = next(c["message"] for c in failed["conditions"] if c["type"] == "Succeeded").partition("To try again: ")[
        2
    ]
    storage = installation.target.storage
    whole = credentials(
        "trainingrun-half", AWS_ACCESS_KEY_ID=storage.access_key, AWS_SECRET_ACCESS_KEY=storage.secret_key
    )
    whole["metadata"]["namespace"] = namespace
    installation.target.kubectl.apply(whole)
    installation.target.kubectl(*shlex.split(command)[1:])  # the command exactly as the message shows it
    installation.until(
        "retried",
        lambda status: any(c["type"] == "Prepared" and c["status"] == "True" for c in status["conditions"]),
        namespace=namespace,
        seconds=60,
        what="Prepared after the retry",
    )
    installation.target.kubectl("delete", "trainingrun", "retried", "-n", namespace)


def test_a_finished_run_goes_after_its_time(installation: Installation, namespace: str) -> None:
    run = tire_run("brief", storage={"bucket": "no-such-bucket"}, ttlSecondsAfterFinished=3)
    installation.apply(run, namespace=namespace)
    installation.finished("brief", namespace=namespace, seconds=60)
    installation.target.kubectl.wait("trainingrun/brief", "-n", namespace, "--for=delete", seconds=patience(20))


def masked(text: str) -> str:
    """Replace the run's UID, and the texts of this machine's libraries for network errors."""
    text = re.sub("-[0-9a-f]{8}/preflight", "-<uid>/preflight", text)
    return re.sub(r"(?<=failed: )(Failed to|no connection|\[SSL).*", "<network>", text)


def storage_not_ready(status: Object) -> bool:
    return any(c["type"] == "StorageReady" and c["status"] == "False" for c in status.get("conditions", ()))
