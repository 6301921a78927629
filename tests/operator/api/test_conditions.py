"""Conditions follow the Kubernetes API conventions."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun.api.conditions import find, is_true, set_condition
from trainingrun.api.reasons import named

OLD: dict[str, Any] = {
    "type": "Prepared",
    "status": "False",
    "reason": "Running",
    "message": "old",
    "observedGeneration": 1,
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
NOW = "2026-01-01T01:00:00Z"


@pytest.mark.parametrize(
    ("status", "why", "message", "changed", "since"),
    [
        ("False", "Running", "old", False, OLD["lastTransitionTime"]),
        ("False", "Running", "new", False, OLD["lastTransitionTime"]),
        ("False", "Waiting", "old", True, OLD["lastTransitionTime"]),
        ("True", "Completed", "old", True, NOW),
    ],
    ids=["same", "message", "reason", "status"],
)
def test_transition(status: str, why: str, message: str, changed: bool, since: str) -> None:
    conditions = [dict(OLD)]
    result = set_condition(
        conditions, "Prepared", status=status, reason=named(why), message=message, generation=2, now=NOW
    )
    assert result is changed
    assert conditions == [
        {
            **OLD,
            "status": status,
            "reason": why,
            "message": message,
            "observedGeneration": 2,
            "lastTransitionTime": since,
        }
    ]


def test_a_new_condition_is_added_and_found() -> None:
    conditions = [dict(OLD)]
    assert set_condition(conditions, "Trained", status="True", reason=named("R"), message="", generation=1, now=NOW)
    assert [c["type"] for c in conditions] == ["Prepared", "Trained"]
    assert is_true(conditions, "Trained")
    assert not is_true(conditions, "Prepared")
    assert find(conditions, "Exported") is None


def test_conditions_are_listed_as_a_run_goes_through_them() -> None:
    conditions: list[dict[str, Any]] = []
    for kind in ("Finished", "FromTheFuture", "Trained", "Accepted", "Prepared"):
        set_condition(conditions, kind, status="True", reason=named("R"), message="", generation=1, now=NOW)
    assert [c["type"] for c in conditions] == ["Accepted", "Prepared", "Trained", "Finished", "FromTheFuture"]


@pytest.mark.parametrize(
    ("given", "fit"),
    [
        ("OOMKilled", "OOMKilled"),
        ("evicted by kubelet", "Evictedbykubelet"),
        ("", "Unknown"),
        (None, "Unknown"),
        ("1st", "Unknown"),
        ("X" * 100, "X" * 64),
    ],
)
def test_a_reason_always_fits_the_schema(given: object, fit: str) -> None:
    assert named(given).name == fit
