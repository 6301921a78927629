"""Killing the operator or deleting the training pod loses no finished stage and no step of a checkpoint."""

from __future__ import annotations

from typing import Any

import pytest

from trdemo.follow import condition
from trdemo.installation import Installation, tire_run

pytestmark = pytest.mark.node

STEPS = 400


def training_pod(installation: Installation, namespace: str, *, attempt: int) -> dict[str, Any]:
    selector = f"trainingrun.dev/stage=train,trainingrun.dev/attempt={attempt}"
    (pod,) = installation.target.kubectl.get("pods", namespace=namespace, selector=selector)["items"]
    return dict(pod)


def attempt_number(status: dict[str, Any]) -> int:
    return int(next((e.get("number", 0) for e in status.get("attempts", ()) if e["stage"] == "train"), 0))


@pytest.fixture(scope="module")
def status(installation: Installation, namespace: str) -> dict[str, Any]:
    """Kill the operator while a run trains, then delete the training pod; returns pods and statuses by moment."""
    run = tire_run("hard", train={"steps": STEPS, "saveEverySteps": 50, "evalEverySteps": STEPS})
    installation.apply(run, namespace=namespace)
    installation.until(
        "hard",
        lambda s: s.get("training", {}).get("step", 0) > 0,
        namespace=namespace,
        seconds=180,
        what="the first step",
    )
    before = training_pod(installation, namespace, attempt=1)
    system, label = "trainingrun-system", "app.kubernetes.io/name=trainingrun-operator"
    installation.target.kubectl(
        "delete", "pod", "-n", system, "-l", label, "--grace-period=0", "--force", "--wait=false"
    )
    at_kill = installation.status("hard", namespace=namespace)["training"]["step"]
    caught_up = installation.until(
        "hard",
        lambda s: s.get("training", {}).get("step", 0) > at_kill and s["training"].get("checkpointStep", 0) >= 50,
        namespace=namespace,
        seconds=120,
        what="a newer step and a checkpoint after the operator was killed",
    )
    after = training_pod(installation, namespace, attempt=1)
    installation.target.kubectl("delete", "pod", after["metadata"]["name"], "-n", namespace, "--wait=false")
    resumed = installation.until(
        "hard",
        lambda s: attempt_number(s) == 2 and s.get("training", {}).get("resumedFromStep", 0) > 0,
        namespace=namespace,
        seconds=180,
        what="the second attempt's resume",
    )
    end = installation.finished("hard", namespace=namespace, seconds=420)
    return {"before": before, "after": after, "caught_up": caught_up, "resumed": resumed, "end": end}


def test_operator_killed_in_training_does_not_touch_it(status: dict[str, Any]) -> None:
    before, after = status["before"], status["after"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert [c["restartCount"] for c in after["status"]["containerStatuses"]] == [0, 0]
    assert attempt_number(status["caught_up"]) == 1


def test_deleted_training_pod_resumes_from_its_last_checkpoint(status: dict[str, Any]) -> None:
    training = status["resumed"]["training"]
    assert training["resumedFromStep"] >= status["caught_up"]["training"]["checkpointStep"]
    assert training.get("stepsLost", 0) == 0  # SIGTERM leaves time for one more checkpoint
    entry = next(e for e in status["resumed"]["attempts"] if e["stage"] == "train")
    assert entry["lastOutcome"] == "interrupted"


def test_the_run_succeeds_after_all(status: dict[str, Any]) -> None:
    end = status["end"]
    assert condition(end, "Succeeded") == "True", end.get("message")
    assert end["training"]["step"] == STEPS
    assert float(end["export"]["ap50"]) >= 0.5
