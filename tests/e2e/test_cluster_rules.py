"""A namespace with the rules of a platform team: pods need a label, and a CPU limit for each container.

A run that says both passes; one that does not waits and shows the rule with the field that satisfies it. tests/api has
the same rules for each pod of a run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from trcluster.command import CommandError
from trcluster.waiting import patience, until
from trdemo.follow import condition
from trdemo.installation import Installation, Object, tire_run
from trdemo.shell import Kubectl
from trfakes.cluster_rules import COST_CENTER, cost_center_rule, cpu_quota, limit_range

pytestmark = pytest.mark.node

SECONDS = 15
LABELS = {"labels": {COST_CENTER: "vision"}}
# On a node with two cores, this limit slows down nothing.
LIMITS = {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "512Mi"}}}


def run_of(name: str, image: str, pod: Object) -> Object:
    stage = {"pod": pod}
    train = {"steps": 60, "image": image, **stage}
    board = {"pod": {key: value for key, value in pod.items() if key == "labels"}}
    return tire_run(name, prep=stage, train=train, export={**stage, "evalImages": 5}, tensorboard=board)


@pytest.fixture(scope="module")
def ruled(installation: Installation, namespace: str, stand_in: str) -> Iterator[str]:
    """The namespace with its rules, a run that keeps them, and two that each break one."""
    kubectl = installation.target.kubectl
    rules = cost_center_rule(namespace, kinds=("pods",))
    kubectl.apply(*rules, cpu_quota(namespace))
    counted = ("resourcequota", "cpu", "-n", namespace, "--for=jsonpath={.status.hard}")
    kubectl.wait(*counted, seconds=60)
    until(lambda: demands_label(kubectl, namespace), what="the policy to hold", seconds=60)
    for name, pod in {"kept": {**LABELS, **LIMITS}, "unlabelled": LIMITS, "unlimited": LABELS}.items():
        installation.apply(run_of(name, stand_in, pod), namespace=namespace)
    yield namespace
    for rule in rules:
        kubectl("delete", rule["kind"], rule["metadata"]["name"])


def demands_label(kubectl: Kubectl, namespace: str) -> bool:
    """Whether the API server, which reads a new policy some seconds late, refuses a pod for its label already."""
    security = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "agent", "image": "none", "securityContext": security, **LIMITS}
    spec = {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": spec}
    try:
        kubectl("create", "-n", namespace, "--dry-run=server", "-f", "-", stdin=json.dumps(pod))
    except CommandError as error:
        return COST_CENTER in error.stderr
    return False


@pytest.fixture
def refused(installation: Installation, ruled: str) -> Callable[[str], str]:
    """Wait until the pod of a run is refused; returns the message of its stage."""

    def wait(name: str) -> str:
        def found(status: Object) -> bool:
            return reason(status) == "PodRefused"

        status = installation.until(name, found, namespace=ruled, seconds=patience(SECONDS), what="reason PodRefused")
        return str(next(c["message"] for c in status["conditions"] if c["type"] == "Prepared"))

    return wait


def reason(status: Object) -> str:
    return next((str(c["reason"]) for c in status.get("conditions", ()) if c["type"] == "Prepared"), "")


def test_a_run_without_the_label_names_the_rule_and_the_field(refused: Callable[[str], str]) -> None:
    message = refused("unlabelled")
    assert f"pods and Jobs need the label {COST_CENTER}" in message
    assert "with what the rule asks for in spec.prep.pod, or ask your platform team to set it in runs of" in message


def test_a_run_without_limits_names_the_quota_and_the_field(refused: Callable[[str], str]) -> None:
    message = refused("unlimited")
    assert "failed quota: cpu: must specify limits.cpu for: agent" in message
    assert "create a new TrainingRun with spec.prep.pod.resources (limits.cpu)" in message


def test_a_run_that_says_what_the_rules_demand_succeeds(installation: Installation, ruled: str) -> None:
    status = installation.finished("kept", namespace=ruled, seconds=300)
    assert condition(status, "Succeeded") == "True", status.get("message")
    assert [entry["number"] for entry in status["attempts"]] == [1, 1, 1]


def test_its_tensorboard_keeps_them_too_and_is_the_first_to_give_way(installation: Installation, ruled: str) -> None:
    kubectl = installation.target.kubectl
    wanted = "trainingrun.dev/run=kept,app.kubernetes.io/component=tensorboard"

    def running() -> list[dict[str, Any]]:
        pods = kubectl.get("pods", namespace=ruled, selector=wanted)["items"]
        return [pod for pod in pods if pod["status"]["phase"] == "Running"]

    (pod,) = until(running, what="the pod of TensorBoard", seconds=120)
    assert pod["metadata"]["labels"][COST_CENTER] == "vision"
    assert (pod["spec"]["priority"], pod["spec"]["preemptionPolicy"]) == (-10, "Never")


def test_a_limit_range_lets_the_run_without_limits_start(installation: Installation, ruled: str) -> None:
    """As its message said: the Job controller tries again, and the pod gets the limit of the LimitRange."""

    def prepared(status: Object) -> bool:
        return condition(status, "Prepared") == "True"

    installation.target.kubectl.apply(limit_range(ruled))
    status = installation.until("unlimited", prepared, namespace=ruled, seconds=180, what="the data set")
    assert status["attempts"][0]["number"] == 1
