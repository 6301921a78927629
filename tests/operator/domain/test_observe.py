"""Views of Jobs and pods read what decisions need from real objects."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun.domain.observe import JobView, PodView

LABELS = {
    f"trainingrun.dev/{k}": v for k, v in {"run": "tire", "run-uid": "u", "stage": "train", "attempt": "1"}.items()
}
META = {"name": "tire-train-1", "namespace": "default", "uid": "j", "labels": LABELS, "creationTimestamp": "then"}


def job(*, spec: Any = None, **status: Any) -> JobView:
    view = JobView.from_object({"metadata": META, "spec": spec or {}, "status": status})
    assert view is not None
    return view


def condition(kind: str, status: str = "True") -> dict[str, str]:
    return {"type": kind, "status": status, "lastTransitionTime": "now"}


def test_a_job_that_is_suspended() -> None:
    view = job(spec={"suspend": True}, startTime=None, conditions=[condition("Suspended")])
    assert (view.suspended, view.undecided, view.started_at, view.pod_ended) == (True, True, "", False)


def test_a_job_that_is_resumed_is_suspended_until_the_job_controller_has_seen_it() -> None:
    """Until then its start time is missing, or that of its last start: it seems to have waited for very long."""
    view = job(spec={"suspend": False}, startTime=None, conditions=[condition("Suspended")])
    assert view.suspended
    view = job(spec={"suspend": False}, startTime="now", conditions=[condition("Suspended", "False")])
    assert (view.suspended, view.started_at) == (False, "now")


@pytest.mark.parametrize(
    ("status", "undecided", "finished"),
    [
        ({}, True, ""),
        ({"conditions": [condition("Failed", "False")]}, True, ""),
        ({"conditions": [condition("FailureTarget")]}, False, ""),
        ({"conditions": [condition("SuccessCriteriaMet"), condition("Complete")]}, False, "Complete"),
        ({"conditions": [condition("FailureTarget"), condition("Failed")]}, False, "Failed"),
    ],
)
def test_a_job_says_whether_another_pod_may_follow(status: Any, finished: str, *, undecided: bool) -> None:
    assert (job(**status).undecided, job(**status).finished) == (undecided, finished)


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ({"failed": 1}, True),
        ({"succeeded": 1}, True),
        ({"uncountedTerminatedPods": {"failed": ["p"]}}, True),
        ({"active": 1, "failed": 0, "uncountedTerminatedPods": {}}, False),
    ],
)
def test_a_job_counts_pods_that_have_ended(status: Any, *, ended: bool) -> None:
    assert job(**status).pod_ended is ended


RUNNING = {"running": {"startedAt": "now"}}
ENDED = {"terminated": {"exitCode": 0}}
BLOCKED = {"waiting": {"reason": "PodInitializing"}}


@pytest.mark.parametrize(
    ("init", "name"),
    [
        ([], ""),
        ([{"name": "mesh", "state": ENDED}, {"name": "log", "state": RUNNING, "started": True}], ""),
        ([{"name": "mesh", "state": RUNNING}], "mesh"),
        ([{"name": "log", "state": RUNNING, "started": False}, {"name": "mesh", "state": BLOCKED}], "log"),
        ([{"name": "mesh", "state": {"terminated": {"exitCode": 1}}}], "mesh"),
    ],
    ids=["none", "ended and ready", "hangs", "not ready", "failed"],
)
def test_the_init_container_that_holds_back_a_pod(init: Any, name: str) -> None:
    view = PodView.from_object({"metadata": META, "status": {"initContainerStatuses": init}})
    assert view is not None
    assert view.init_name == name


@pytest.mark.parametrize(
    ("states", "started", "done"),
    [
        ({}, False, False),
        ({"agent": RUNNING, "trainer": BLOCKED}, False, False),
        ({"agent": RUNNING, "trainer": RUNNING, "mesh": BLOCKED}, True, False),
        ({"agent": ENDED, "trainer": RUNNING, "mesh": RUNNING}, True, False),
        ({"agent": ENDED, "trainer": ENDED, "mesh": RUNNING}, True, True),
    ],
    ids=["nothing yet", "image is missing", "runs", "agent ended", "all of ours ended"],
)
def test_only_our_containers_say_what_a_pod_does(states: Any, *, started: bool, done: bool) -> None:
    statuses = [{"name": name, "state": state} for name, state in states.items()]
    view = PodView.from_object({"metadata": META, "status": {"phase": "Pending", "containerStatuses": statuses}})
    assert view is not None
    assert (view.started, view.done) == (started, done)
