"""Rules that clusters have for pods, on a real API server: which pods of a run they refuse, and what satisfies them.

The pods are created as dry runs from the templates that the operator builds. tests/e2e/test_cluster_rules.py has a run
under all of these rules from start to end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from trainingrun.api import reasons
from trainingrun.api.names import Stage
from trainingrun.api.settings import RunPods, Settings, TensorBoard
from trainingrun.builders.jobs import build_job
from trainingrun.builders.tensorboard import build_tensorboard
from trainingrun.domain import refused_pods
from trainingrun.domain.resolve import resolve
from trcluster import current
from trcluster.waiting import until
from trdemo.shell import Kubectl
from trfakes.builders import SETTINGS, RunBuilder, a_run
from trfakes.cluster_rules import COST_CENTER, cost_center_rule, cpu_quota, limit_range

pytestmark = [
    pytest.mark.api,
    pytest.mark.skipif(current.wanted(), reason="plays the controllers of a cluster of its own"),
]

Body = dict[str, Any]
Refusal = Callable[[str, Body], str]

LABELLED, COUNTED, DEFAULTED = "rules-labelled", "rules-counted", "rules-defaulted"
PODS = (*map(str, Stage), "tensorboard")
LIMITED = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
LIMITS = replace(
    SETTINGS,
    run_pods=RunPods(agent_resources=LIMITED),
    tensorboard=TensorBoard(resources=LIMITED, mirror_resources=LIMITED),
)
LIMITED_RUN = a_run().spec(**{str(stage): {"pod": {"resources": LIMITED}} for stage in Stage})
LABELLED_RUN = a_run().spec(**{name: {"pod": {"labels": {COST_CENTER: "vision"}}} for name in PODS})


def makers(builder: RunBuilder, settings: Settings) -> dict[str, Body]:
    """Jobs and Deployment of a run, by stage."""
    run = builder.build()
    resolved = resolve(run, settings=settings, find_run=lambda _: None)
    bodies = {
        str(stage): build_job(run, stage=stage, attempt=1, resolved=resolved, digest="0" * 64, settings=settings)
        for stage in Stage
    }
    return {**bodies, "tensorboard": build_tensorboard(run, resolved=resolved, digest="0" * 64, settings=settings)[0]}


def pod(name: str, builder: RunBuilder, settings: Settings = SETTINGS) -> Body:
    """A pod as its controller creates it."""
    template = makers(builder, settings)[name]["spec"]["template"]
    meta = {**template["metadata"], "generateName": f"tire-{name}-"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}


@pytest.fixture(scope="module")
def refusal(kubectl: Kubectl, kubeconfig: Path) -> Iterator[Refusal]:
    """Dry-run the creation of a pod in a namespace; returns the message of a refusal, empty if it is admitted."""
    api = client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))  # type: ignore[no-untyped-call]

    def ask(namespace: str, body: Body) -> str:
        try:
            api.create_namespaced_pod(namespace, body, dry_run="All", _request_timeout=10)
        except client.ApiException as error:
            return str(json.loads(error.body or "{}")["message"])
        return ""

    for name in (LABELLED, COUNTED, DEFAULTED):
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        account = {"metadata": {"name": "default", "namespace": name}}
        kubectl.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
            {"apiVersion": "v1", "kind": "ServiceAccount", **account},
        )
    kubectl.apply(*cost_center_rule(LABELLED), cpu_quota(COUNTED), cpu_quota(DEFAULTED), limit_range(DEFAULTED))
    for name in (COUNTED, DEFAULTED):  # as the controller of quotas does
        status = {"status": {"hard": cpu_quota(name)["spec"]["hard"], "used": {"limits.cpu": "0"}}}
        patch = ("--subresource=status", "--type=merge", "-p", json.dumps(status))
        kubectl("patch", "resourcequota", "cpu", "-n", name, *patch)
    for name in (LABELLED, COUNTED):
        until(lambda name=name: ask(name, pod("prep", a_run())), what=f"the rule of {name}", seconds=60)
    until(lambda: not ask(DEFAULTED, pod("prep", a_run())), what="the LimitRange", seconds=60)
    yield ask
    kubectl("delete", "validatingadmissionpolicies,validatingadmissionpolicybindings", "--all")


@pytest.mark.parametrize("name", PODS)
def test_a_label_that_pods_must_have_is_demanded(name: str, refusal: Refusal) -> None:
    message = refusal(LABELLED, pod(name, a_run()))
    assert f"pods and Jobs need the label {COST_CENTER}" in message
    if name != "tensorboard":
        reason, _ = refused_pods.explain(message, stage=Stage(name))
        assert reason is reasons.POD_REFUSED


@pytest.mark.parametrize("name", PODS)
def test_the_label_of_the_run_or_of_the_installer_satisfies_the_rule(name: str, refusal: Refusal) -> None:
    assert refusal(LABELLED, pod(name, LABELLED_RUN)) == ""
    labelled = replace(SETTINGS, run_pods=RunPods(labels={COST_CENTER: "platform"}))
    assert refusal(LABELLED, pod(name, a_run(), labelled)) == ""


def test_jobs_and_deployments_have_the_label_too(kubectl: Kubectl, refusal: Refusal) -> None:
    """A rule can be about the objects that create pods: then nothing else would show why there is none."""
    for name, body in makers(LABELLED_RUN, SETTINGS).items():
        meta = {key: value for key, value in body["metadata"].items() if key != "ownerReferences"}
        made = {**body, "metadata": {**meta, "namespace": LABELLED}}
        kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(made))
        assert made["metadata"]["labels"][COST_CENTER] == "vision", name


MISSING = {
    "prep": ["spec.prep.pod.resources (limits.cpu)"],
    "train": ["spec.train.pod.resources (limits.cpu)", "runs.agent.resources (limits.cpu)"],
    "export": ["spec.export.pod.resources (limits.cpu)", "runs.agent.resources (limits.cpu)"],
}


@pytest.mark.parametrize("stage", Stage)
def test_a_quota_on_limits_says_which_fields_are_missing(stage: Stage, refusal: Refusal) -> None:
    message = refusal(COUNTED, pod(stage, a_run()))
    assert "must specify limits.cpu for: " in message
    _, steps = refused_pods.explain(message, stage=stage)
    assert [field for field in MISSING[stage] if field not in steps] == []


@pytest.mark.parametrize("name", PODS)
def test_limits_for_every_container_satisfy_the_quota(name: str, refusal: Refusal) -> None:
    assert refusal(COUNTED, pod(name, LIMITED_RUN, LIMITS)) == ""


@pytest.mark.parametrize("name", PODS)
def test_with_a_limit_range_the_defaults_satisfy_the_quota(name: str, refusal: Refusal) -> None:
    assert refusal(DEFAULTED, pod(name, a_run())) == ""


@pytest.mark.parametrize(
    "resources",
    [{"requests": {"cpu": "3"}}, {"limits": {"cpu": "5"}}],
    ids=["above the default limit", "above the maximum"],
)
def test_resources_that_a_limit_range_refuses_name_their_field(resources: Body, refusal: Refusal) -> None:
    message = refusal(DEFAULTED, pod("train", a_run().spec(train={"pod": {"resources": resources}})))
    reason, _ = refused_pods.explain(message, stage=Stage.TRAIN)
    assert reason is reasons.POD_BREAKS_LIMIT_RANGE, message


def test_a_priority_class_that_does_not_exist_names_its_field(refusal: Refusal) -> None:
    settings = replace(SETTINGS, policy=replace(SETTINGS.policy, priority_classes=("*",)))
    message = refusal(COUNTED, pod("train", a_run().spec(train={"pod": {"priorityClassName": "nothing"}}), settings))
    reason, _ = refused_pods.explain(message, stage=Stage.TRAIN)
    assert reason is reasons.POD_NEEDS_PRIORITY_CLASS, message
