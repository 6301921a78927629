"""When a pod cannot start, status and `kubectl get` show the cause within 15 seconds.

test_bad_input.py tests a GPU that no node has, and a deadline that passes.
"""

from __future__ import annotations

from typing import Any

import pytest

from trcluster.waiting import patience
from trdemo.installation import SMALL_PREP, Installation, tire_run

pytestmark = pytest.mark.node

SECONDS = 15
CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "image": ({"train": {"image": "trainingrun.dev/nothing:1"}}, "ImagePullFailed", "trainingrun.dev/nothing:1"),
    "secret": ({"storage": {"credentials": {"secretName": "trainingrun-none"}}}, "SecretMissing", "trainingrun-none"),
}


def cause(status: dict[str, Any], reason: str) -> str:
    return next((c["message"] for c in status.get("conditions", ()) if c.get("reason") == reason), "")


@pytest.mark.parametrize("case", CASES)
def test_cause_shows_within_fifteen_seconds(installation: Installation, namespace: str, case: str) -> None:
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
    installation.target.kubectl("delete", "trainingrun", case, "-n", namespace, "--wait=false")
    assert named in cause(status, reason), status
    assert reason in row


def test_quota_shows_within_fifteen_seconds(installation: Installation, namespace: str) -> None:
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
