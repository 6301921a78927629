"""When a pod cannot start, status and `kubectl get` show the cause within seconds, and a Warning comes if it lasts.

test_bad_input.py tests a GPU that no node has, and a deadline that passes.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from trcluster.waiting import patience, until
from trdemo.follow import condition
from trdemo.installation import SMALL_PREP, Installation, tire_run
from trfakes.hostile import DANGEROUS, HOSTILE, MARK

pytestmark = pytest.mark.node

SECONDS = 8  # five from when the pod is stuck, which is up to three after its run was applied
LATE = "trainingrun-late"  # a Secret that is created while its pod waits for it
CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "image": ({"train": {"image": "trainingrun.dev/nothing:1"}}, "ImagePullFailed", "trainingrun.dev/nothing:1"),
    "secret": ({"storage": {"credentials": {"secretName": "trainingrun-none"}}}, "SecretMissing", "trainingrun-none"),
}


def cause(status: dict[str, Any], reason: str) -> str:
    return next((c["message"] for c in status.get("conditions", ()) if c.get("reason") == reason), "")


@pytest.mark.parametrize("case", CASES)
def test_cause_shows_within_seconds(installation: Installation, namespace: str, case: str) -> None:
    changes, reason, named = CASES[case]
    stage = "prep" if case == "secret" else "train"
    installation.apply(tire_run(case, prep=SMALL_PREP, **changes), namespace=namespace)
    installation.until(
        case,
        lambda s: any(e["stage"] == stage and e.get("number") for e in s.get("attempts", ())),
        namespace=namespace,
        seconds=90,
        what=f"the Job of {stage}",
    )
    status = installation.until(
        case, lambda s: bool(cause(s, reason)), namespace=namespace, seconds=patience(SECONDS), what=f"reason {reason}"
    )
    row = installation.target.kubectl("get", "trainingruns", case, "-n", namespace)
    if case != "secret":  # the last test looks at what became of it
        installation.target.kubectl("delete", "trainingrun", case, "-n", namespace, "--wait=false")
    assert named in cause(status, reason), status
    assert reason in row


def create_secret(installation: Installation, namespace: str, name: str) -> None:
    storage = installation.target.storage
    keys = {"AWS_ACCESS_KEY_ID": storage.access_key, "AWS_SECRET_ACCESS_KEY": storage.secret_key}
    meta = {"name": name, "namespace": namespace}
    installation.target.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": keys})


def words_of_a_tenant(installation: Installation, namespace: str) -> None:
    """Write a warning Event about the pod that waits, newer than those of the kubelet."""
    kubectl = installation.target.kubectl
    [pod] = kubectl.get("pods", namespace=namespace, selector="trainingrun.dev/run=early")["items"]
    about = {key: pod["metadata"][key] for key in ("name", "namespace", "uid")}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "words-of-a-tenant", "namespace": namespace},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", **about},
        "type": "Warning",
        "reason": "FailedMount",
        "message": HOSTILE,
        "lastTimestamp": "2100-01-01T00:00:00Z",
    }
    kubectl("create", "-f", "-", stdin=json.dumps(event))


def test_a_run_goes_on_once_its_secret_exists(installation: Installation, namespace: str) -> None:
    """Meanwhile a tenant writes an Event, which shows in the status and drives no terminal."""
    run = tire_run("early", prep=SMALL_PREP, storage={"credentials": {"secretName": LATE}})
    installation.apply(run, namespace=namespace)
    status = installation.until(
        "early", lambda s: bool(cause(s, "SecretMissing")), namespace=namespace, seconds=90, what="reason SecretMissing"
    )
    message = cause(status, "SecretMissing")
    step = "If its name is wrong, create a new TrainingRun with another spec.storage.credentials.secretName."
    assert message.endswith(f"Create the Secret in the run's namespace. {step} The pod then starts by itself.")
    words_of_a_tenant(installation, namespace)
    installation.until(
        "early",
        lambda s: MARK in s.get("message", ""),
        namespace=namespace,
        seconds=patience(SECONDS),
        what="the words of a tenant",
    )
    shown = installation.target.kubectl("describe", "trainingrun", "early", "-n", namespace)
    assert MARK in shown
    assert not DANGEROUS.search(shown.replace("\n", ""))
    create_secret(installation, namespace, LATE)
    installation.until(
        "early",
        lambda s: condition(s, "Prepared") == "True",
        namespace=namespace,
        seconds=180,  # the kubelet waits up to two minutes before it mounts again
        what="Prepared with the new Secret",
    )
    installation.target.kubectl("delete", "trainingrun", "early", "-n", namespace, "--wait=false")


def test_quota_shows_within_seconds(installation: Installation, namespace: str) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": namespace}}
    installation.target.kubectl.apply({**quota, "spec": {"hard": {"pods": "0"}}})
    try:
        installation.apply(tire_run("quota", prep=SMALL_PREP), namespace=namespace)
        status = installation.until(
            "quota",
            lambda s: bool(cause(s, "QuotaExceeded")),
            namespace=namespace,
            seconds=patience(SECONDS),
            what="reason QuotaExceeded",
        )
        assert "exceeded quota" in cause(status, "QuotaExceeded")
    finally:
        installation.target.kubectl("delete", "resourcequota", "none", "-n", namespace)
        installation.target.kubectl("delete", "trainingrun", "quota", "-n", namespace, "--wait=false")


def warnings_about(installation: Installation, namespace: str, name: str) -> list[str]:
    events = installation.target.kubectl.get("events", namespace=namespace)["items"]
    about = [event for event in events if event["involvedObject"]["name"] == name and event["type"] == "Warning"]
    return [event["reason"] for event in about]


def test_a_run_that_waits_for_its_secret_holds_no_node(installation: Installation, namespace: str) -> None:
    """It began to wait in the first test, and goes on once the Secret exists."""
    kubectl = installation.target.kubectl
    selector = "trainingrun.dev/run=secret"
    status = installation.until(
        "secret",
        lambda s: "the run holds no CPU, memory or GPU" in s.get("message", ""),
        namespace=namespace,
        seconds=90,
        what="a pause",
    )
    until(
        lambda: not kubectl.get("pods", namespace=namespace, selector=selector)["items"],
        what="the end of the pod",
        seconds=25,  # the pause lasts at least 30 s
    )
    assert cause(status, "SecretMissing")
    assert status["progress"]["text"] == "Preparing: waiting (SecretMissing)"
    assert warnings_about(installation, namespace, "secret") == ["SecretMissing"]
    create_secret(installation, namespace, "trainingrun-none")
    installation.until(
        "secret",
        lambda s: condition(s, "Prepared") == "True",
        namespace=namespace,
        seconds=180,
        what="Prepared with the new Secret",
    )
    assert "failures" not in installation.status("secret", namespace=namespace)["attempts"][0]
    kubectl("delete", "trainingrun", "secret", "-n", namespace, "--wait=false")
