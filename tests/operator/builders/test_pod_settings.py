"""Labels, annotations, priority and resources of pods: what the run asks for, what the installer sets, who wins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api.names import Stage
from trainingrun.api.settings import RunPods, Settings, TensorBoard
from trainingrun.builders.jobs import build_job
from trainingrun.builders.tensorboard import build_tensorboard
from trainingrun.domain.resolve import resolve
from trfakes.builders import RUN_UID, SETTINGS, RunBuilder, a_run

OWN = {"trainingrun.dev/run": "tire", "trainingrun.dev/run-uid": RUN_UID}
PODS = (*Stage, "tensorboard")


def built(builder: RunBuilder, settings: Settings = SETTINGS, *, accepted_with: Settings = SETTINGS) -> dict[str, Any]:
    """Jobs and Deployment of a run, by stage."""
    run = builder.build()
    resolved = resolve(run, settings=accepted_with, find_run=lambda _: None)
    bodies: dict[str, Any] = {
        str(stage): build_job(run, stage=stage, attempt=1, resolved=resolved, digest="0" * 64, settings=settings)
        for stage in Stage
    }
    bodies["tensorboard"] = build_tensorboard(run, resolved=resolved, digest="0" * 64, settings=settings)[0]
    return bodies


def template(bodies: dict[str, Any], name: str) -> dict[str, Any]:
    return dict(bodies[name]["spec"]["template"])


def giving(**pods: Any) -> Settings:
    return replace(SETTINGS, run_pods=RunPods(**pods))


def asking(name: str, **pod: Any) -> RunBuilder:
    return a_run().spec(**{name: {"pod": pod}})


@pytest.mark.parametrize("name", PODS)
def test_a_cluster_that_demands_a_label_on_pods_gets_it(name: str) -> None:
    bodies = built(a_run(), giving(labels={"cost-center": "42"}, annotations={"example.com/contact": "vision"}))
    meta = template(bodies, name)["metadata"]
    assert meta["labels"].items() >= {**OWN, "cost-center": "42", "app.kubernetes.io/component": name}.items()
    assert meta["annotations"]["example.com/contact"] == "vision"
    assert bodies[name]["metadata"]["labels"] == meta["labels"]


@pytest.mark.parametrize("name", PODS)
def test_a_run_labels_the_pod_of_one_stage(name: str) -> None:
    bodies = built(asking(name, labels={"team": "vision"}, annotations={"linkerd.io/inject": "disabled"}))
    labelled = [other for other in PODS if "team" in template(bodies, other)["metadata"]["labels"]]
    annotated = [
        other for other in PODS if "linkerd.io/inject" in template(bodies, other)["metadata"].get("annotations", {})
    ]
    assert labelled == annotated == [name]


@pytest.mark.parametrize("name", PODS)
def test_a_run_cannot_replace_what_the_installer_sets(name: str) -> None:
    asked = asking(name, labels={"cost-center": "theirs", "team": "a"}, annotations={"linkerd.io/inject": "disabled"})
    meta = template(
        built(asked, giving(labels={"cost-center": "42"}, annotations={"linkerd.io/inject": "enabled"})), name
    )["metadata"]
    assert (meta["labels"]["cost-center"], meta["labels"]["team"]) == ("42", "a")
    assert meta["annotations"]["linkerd.io/inject"] == "enabled"


def test_no_label_replaces_those_that_the_operator_finds_its_pods_by() -> None:
    """Settings and policy refuse such keys; the builder does not depend on that."""
    forged = {"trainingrun.dev/run": "other", "app.kubernetes.io/component": "x", "trainingrun.dev/stage": "export"}
    run = a_run().build()
    resolved = {**resolve(run, settings=SETTINGS, find_run=lambda _: None), "pods": {"train": {"labels": forged}}}
    job = build_job(
        run, stage=Stage.TRAIN, attempt=1, resolved=resolved, digest="0" * 64, settings=giving(labels=forged)
    )
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"]
    assert job["metadata"]["labels"] == {
        **OWN,
        "app.kubernetes.io/managed-by": "trainingrun-operator",
        "app.kubernetes.io/component": "train",
        "trainingrun.dev/stage": "train",
        "trainingrun.dev/attempt": "1",
    }


def test_a_new_rule_of_the_cluster_is_met_by_the_next_attempt_of_an_old_run() -> None:
    """What the installer sets is read at each attempt; what the run asks for was fixed at its acceptance."""
    before, now = giving(labels={"cost-center": "1"}), giving(labels={"cost-center": "2", "env": "prod"})
    bodies = built(asking("train", labels={"team": "a"}), now, accepted_with=before)
    labels = template(bodies, "train")["metadata"]["labels"]
    assert (labels["cost-center"], labels["env"], labels["team"]) == ("2", "prod", "a")


@pytest.mark.parametrize("name", PODS)
def test_settings_that_nobody_checked_at_acceptance_reach_no_pod(name: str) -> None:
    """As of a run that an operator accepted which did not know these fields, under a newer definition."""
    run = asking(name, labels={"a": "b"}, annotations={"c": "d"}, priorityClassName="system-node-critical").build()
    resolved = resolve(a_run().build(), settings=SETTINGS, find_run=lambda _: None)
    assert "pods" not in resolved
    if name == "tensorboard":
        body = build_tensorboard(run, resolved=resolved, digest="0" * 64, settings=SETTINGS)[0]
    else:
        body = build_job(run, stage=Stage(name), attempt=1, resolved=resolved, digest="0" * 64, settings=SETTINGS)
    made = body["spec"]["template"]
    assert not {"a", "c"} & {*made["metadata"]["labels"], *made["metadata"].get("annotations", {})}
    assert "priorityClassName" not in made["spec"]


def test_settings_are_told_apart_by_their_digest() -> None:
    """It does not depend on the order of keys, or an operator that restarts would replace Jobs."""
    one, other = RunPods(labels={"a": "1", "b": "2"}), RunPods(labels={"b": "2", "a": "1"})
    assert one.digest == other.digest
    assert (
        len({RunPods().digest, one.digest, RunPods(priority_class="p").digest, RunPods(keep_training=True).digest}) == 4
    )


def test_the_priority_of_the_run_comes_before_that_of_the_installer() -> None:
    settings = replace(
        SETTINGS,
        run_pods=RunPods(priority_class="batch"),
        tensorboard=TensorBoard(priority_class="trainingrun-tensorboard"),
        policy=replace(SETTINGS.policy, priority_classes=("urgent",)),
    )
    bodies = built(asking("train", priorityClassName="urgent"), settings, accepted_with=settings)
    found = {name: template(bodies, name)["spec"]["priorityClassName"] for name in PODS}
    expected = {"prep": "batch", "train": "urgent", "export": "batch", "tensorboard": "trainingrun-tensorboard"}
    assert found == expected
    assert not any("priorityClassName" in template(built(a_run()), name)["spec"] for name in PODS)


def test_only_training_pods_are_kept_on_their_node_and_only_if_the_installer_says_so() -> None:
    kept = {"karpenter.sh/do-not-disrupt": "true", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
    bodies = built(a_run(), giving(keep_training=True))
    assert template(bodies, "train")["metadata"]["annotations"] == kept
    assert "annotations" not in template(bodies, "prep")["metadata"]
    assert "annotations" not in template(built(a_run()), "train")["metadata"]


def test_a_tensorboard_does_not_keep_a_node_from_being_removed() -> None:
    """The cluster autoscaler keeps the node of a pod with an emptyDir volume unless the pod says otherwise."""
    annotations = template(built(a_run()), "tensorboard")["metadata"]["annotations"]
    assert annotations == {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}


def test_every_container_can_have_a_cpu_limit() -> None:
    """A ResourceQuota on limits.cpu refuses pods with a container that has none."""
    limit = {"limits": {"cpu": "1", "memory": "1Gi"}}
    settings = replace(
        SETTINGS,
        run_pods=RunPods(agent_resources=limit),
        tensorboard=TensorBoard(resources=limit, mirror_resources=limit),
    )
    builder = a_run().spec(**{str(stage): {"pod": {"resources": limit}} for stage in Stage})
    for name, body in built(builder, settings).items():
        for container in body["spec"]["template"]["spec"]["containers"]:
            assert container["resources"] == limit, (name, container["name"])


def test_a_tensorboard_has_its_own_placement_and_resources() -> None:
    gpu = {"key": "nvidia.com/gpu", "operator": "Exists"}
    small = {"requests": {"cpu": "10m"}}
    builder = asking("tensorboard", nodeSelector={"pool": "cpu"}, tolerations=[gpu], resources=small)
    pod = template(built(builder), "tensorboard")["spec"]
    assert (pod["nodeSelector"], pod["tolerations"][0]) == ({"pool": "cpu"}, gpu)
    mirror, board = pod["containers"]
    assert board["resources"] == small
    assert mirror["resources"] == {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}}
    assert "nodeSelector" not in template(built(builder), "train")["spec"]


def test_labels_of_a_tensorboard_do_not_change_what_its_service_selects() -> None:
    run = asking("tensorboard", labels={"team": "a"}).build()
    resolved = resolve(run, settings=SETTINGS, find_run=lambda _: None)
    deployment, service = build_tensorboard(run, resolved=resolved, digest="0" * 64, settings=SETTINGS)
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert selector == service["spec"]["selector"] == service["metadata"]["labels"]
    assert deployment["spec"]["template"]["metadata"]["labels"] == {**selector, "team": "a"}
