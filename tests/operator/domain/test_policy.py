"""The policy's lists are enforced, and a run's creator controls nothing else of its pods."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api.names import Stage
from trainingrun.api.pod_keys import SAFE_TO_EVICT
from trainingrun.api.run import Run
from trainingrun.api.settings import Policy, RunPods
from trainingrun.builders.jobs import build_job
from trainingrun.builders.tensorboard import build_tensorboard
from trainingrun.domain.refusal import NotAcceptedError
from trainingrun.domain.resolve import resolve
from trfakes.builders import SETTINGS, a_run

HELP = (
    "Create a new TrainingRun with an allowed value, or ask your platform team to extend policy.{} of the operator's "
    "Helm values."
)
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def accepted(fields: dict[str, Any], policy: Policy) -> dict[str, Any]:
    settings = replace(SETTINGS, policy=policy)
    return resolve(a_run().spec(**fields).build(), settings=settings, find_run=lambda _: None)


def tolerating(*tolerations: dict[str, Any], stage: str = "train") -> dict[str, Any]:
    return {stage: {"pod": {"tolerations": list(tolerations)}}}


FORBIDDEN = {
    "foreign Secret": (
        {"storage": {"credentials": {"secretName": "database"}}},
        Policy(),
        "spec.storage.credentials.secretName: 'database' is not allowed here; allowed: trainingrun-*.",
        "secretNames",
    ),
    "Secret that only begins alike": (
        {"storage": {"credentials": {"secretName": "trainingrun"}}},
        Policy(secret_names=("trainingrun-*", "s3")),
        "spec.storage.credentials.secretName: 'trainingrun' is not allowed here; allowed: trainingrun-*, s3.",
        "secretNames",
    ),
    "foreign image": (
        {"train": {"image": "evil.example/trainer:1"}},
        Policy(),
        "spec.train.image: 'evil.example/trainer:1' is not allowed here; allowed: trainer:1.",
        "images",
    ),
    "image that only begins alike": (
        {"train": {"image": "good.org.evil.org/trainer:1"}},
        Policy(images=("good.org/*",)),
        "spec.train.image: 'good.org.evil.org/trainer:1' is not allowed here; allowed: good.org/*, trainer:1.",
        "images",
    ),
    "taint outside the list": (
        tolerating({"key": "nvidia.com/gpu", "operator": "Exists"}, {"key": "team", "value": "a"}, stage="export"),
        Policy(tolerations=("nvidia.com/*",)),
        "spec.export.pod.tolerations[1]: 'team' is not allowed here; allowed: nvidia.com/*.",
        "tolerations",
    ),
    "weights from any host": (
        {"model": {"pretrained": {"uri": "https://zoo.example/a.tar.gz", "sha256": "a" * 64}}},
        Policy(),
        "spec.model.pretrained.uri: host 'zoo.example' is not allowed here; allowed: none.",
        "weightHosts",
    ),
    "weights from another port": (
        {"model": {"pretrained": {"uri": "https://zoo.example:8443/a.tar.gz", "sha256": "a" * 64}}},
        Policy(weight_hosts=("zoo.example", "*.good.example")),
        "spec.model.pretrained.uri: host 'zoo.example:8443' is not allowed here; allowed: zoo.example, *.good.example.",
        "weightHosts",
    ),
    "weights from a host that only ends alike": (
        {"model": {"pretrained": {"uri": "https://evilgood.example/a.tar.gz", "sha256": "a" * 64}}},
        Policy(weight_hosts=("*.good.example",)),
        "spec.model.pretrained.uri: host 'evilgood.example' is not allowed here; allowed: *.good.example.",
        "weightHosts",
    ),
    "any taint where none may be": (
        tolerating({"key": "nvidia.com/gpu", "operator": "Exists"}, stage="prep"),
        Policy(tolerations=()),
        "spec.prep.pod.tolerations[0]: 'nvidia.com/gpu' is not allowed here; allowed: none.",
        "tolerations",
    ),
    "control-plane node": (
        tolerating({"key": CONTROL_PLANE, "operator": "Exists"}),
        Policy(),
        f"spec.train.pod.tolerations[0]: '{CONTROL_PLANE}' is not allowed here; allowed: *.",
        "tolerations",
    ),
    "taint for TensorBoard": (
        tolerating({"key": "team"}, stage="tensorboard"),
        Policy(tolerations=()),
        "spec.tensorboard.pod.tolerations[0]: 'team' is not allowed here; allowed: none.",
        "tolerations",
    ),
    "priority": (
        {"train": {"pod": {"priorityClassName": "urgent"}}},
        Policy(),
        "spec.train.pod.priorityClassName: 'urgent' is not allowed here; allowed: none.",
        "priorityClasses",
    ),
    "priority of the cluster's own pods": (
        {"tensorboard": {"pod": {"priorityClassName": "system-node-critical"}}},
        Policy(priority_classes=("*",)),
        "spec.tensorboard.pod.priorityClassName: 'system-node-critical' is not allowed here; allowed: *.",
        "priorityClasses",
    ),
    "label by which a Service selects": (
        {"train": {"pod": {"labels": {"cost-center": "1", "app": "web"}}}},
        Policy(pod_labels=("cost-*",)),
        "spec.train.pod.labels: 'app' is not allowed here; allowed: cost-*.",
        "podLabels",
    ),
    "label that gives the trainer a token": (
        {"train": {"pod": {"labels": {"azure.workload.identity/use": "true"}}}},
        Policy(),
        "spec.train.pod.labels: 'azure.workload.identity/use' is not allowed here; allowed: *.",
        "podLabels",
    ),
    "label that gives the trainer the identity of nodes": (
        {"export": {"pod": {"labels": {"aadpodidbinding": "admin"}}}},
        Policy(pod_labels=("aad*",)),
        "spec.export.pod.labels: 'aadpodidbinding' is not allowed here; allowed: aad*.",
        "podLabels",
    ),
    "annotation that gives the trainer secrets": (
        {"train": {"pod": {"annotations": {"vault.hashicorp.com/role": "admin"}}}},
        Policy(pod_annotations=("vault.hashicorp.com/*",)),
        "spec.train.pod.annotations: 'vault.hashicorp.com/role' is not allowed here; allowed: vault.hashicorp.com/*.",
        "podAnnotations",
    ),
    "image of an injected sidecar": (
        {"prep": {"pod": {"annotations": {"sidecar.istio.io/proxyImage": "evil.example/proxy:1"}}}},
        Policy(pod_annotations=("example.com/*",)),
        "spec.prep.pod.annotations: 'sidecar.istio.io/proxyImage' is not allowed here; allowed: example.com/*.",
        "podAnnotations",
    ),
    "cloud role of another application": (
        {"train": {"pod": {"annotations": {"iam.amazonaws.com/role": "admin"}}}},
        Policy(pod_annotations=()),
        "spec.train.pod.annotations: 'iam.amazonaws.com/role' is not allowed here; allowed: none.",
        "podAnnotations",
    ),
    "every taint at once": (
        tolerating({"operator": "Exists"}),
        Policy(),
        "spec.train.pod.tolerations[0]: every taint (no key) is not allowed here; allowed: *.",
        "tolerations",
    ),
}


@pytest.mark.parametrize(("fields", "policy", "message", "setting"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_the_lists_forbid(fields: dict[str, Any], policy: Policy, message: str, setting: str) -> None:
    with pytest.raises(NotAcceptedError) as refusal:
        accepted(fields, policy)
    assert (refusal.value.reason.name, refusal.value.waits) == ("ForbiddenByPolicy", False)
    assert refusal.value.full == f"{message} {HELP.format(setting)}"


ALLOWED = {
    "the operator's own image": ({"train": {"image": "trainer:1"}}, Policy()),
    "image in the list": ({"train": {"image": "good.example/a/trainer:2"}}, Policy(images=("good.example/*",))),
    "taint of GPU nodes": (tolerating({"key": "nvidia.com/gpu", "operator": "Exists"}), Policy()),
    "control-plane node by name": (tolerating({"key": CONTROL_PLANE}), Policy(tolerations=(CONTROL_PLANE,))),
    "any label": ({"train": {"pod": {"labels": {"app.kubernetes.io/name": "tire", "team": "a"}}}}, Policy()),
    "an identity by its full key": (
        {"train": {"pod": {"labels": {"azure.workload.identity/use": "true"}}}},
        Policy(pod_labels=("azure.workload.identity/use",)),
    ),
    "a mesh's sidecar left out": (
        {"prep": {"pod": {"annotations": {"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled"}}}},
        Policy(),
    ),
    "no eviction": (
        {"train": {"pod": {"annotations": {SAFE_TO_EVICT: "false", "karpenter.sh/do-not-disrupt": "true"}}}},
        Policy(),
    ),
    "priority in the list": ({"train": {"pod": {"priorityClassName": "urgent"}}}, Policy(priority_classes=("u*",))),
    "priority of the cluster's own pods by name": (
        {"train": {"pod": {"priorityClassName": "system-node-critical"}}},
        Policy(priority_classes=("system-node-critical",)),
    ),
    "every taint where both names are listed": (
        tolerating({"operator": "Exists"}),
        Policy(tolerations=("*", CONTROL_PLANE, "node-role.kubernetes.io/master")),
    ),
}


@pytest.mark.parametrize(("fields", "policy"), ALLOWED.values(), ids=ALLOWED)
def test_what_the_lists_allow(fields: dict[str, Any], policy: Policy) -> None:
    assert accepted(fields, policy)["contractVersion"] == 1


RESERVED = [
    "trainingrun.dev/stage",
    "x.trainingrun.dev/a",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/component",
    "batch.kubernetes.io/job-name",
    "container.apparmor.security.beta.kubernetes.io/agent",
    "kubernetes.io/arch",
    "kueue.x-k8s.io/queue-name",
    "k8s.io/a",
    "eks.amazonaws.com/skip-containers",
    "job-name",
    "controller-uid",
    "pod-template-hash",
]


@pytest.mark.parametrize("name", ["prep", "train", "export", "tensorboard"])
@pytest.mark.parametrize("kind", ["labels", "annotations"])
@pytest.mark.parametrize("key", RESERVED)
def test_nobody_writes_keys_of_kubernetes_and_the_operator(key: str, kind: str, name: str) -> None:
    """The API server refuses them too; here as without its schema, and whatever the lists allow."""
    with pytest.raises(NotAcceptedError) as refusal:
        accepted({name: {"pod": {kind: {key: "x"}}}}, Policy(pod_labels=("*", key), pod_annotations=("*", key)))
    assert refusal.value.reason.name == "ForbiddenByPolicy"
    assert refusal.value.full == (
        f"spec.{name}.pod.{kind}: {key!r} is a key that Kubernetes or the operator writes. "
        "Create a new TrainingRun without this key."
    )


def test_a_run_may_name_the_priority_that_it_gets_anyway() -> None:
    settings = replace(SETTINGS, run_pods=RunPods(priority_class="batch"))
    run = a_run().spec(train={"pod": {"priorityClassName": "batch"}}).build()
    document = resolve(run, settings=settings, find_run=lambda _: None)
    assert document["pods"] == {"train": {"priorityClassName": "batch"}}


# A spec with fields that the API does not have; only an API server without the schema would accept it.
WISHES = {
    "serviceAccountName": "admin",
    "automountServiceAccountToken": True,
    "nodeName": "control-plane-1",
    "hostNetwork": True,
    "hostPID": True,
    "imagePullSecrets": [{"name": "registry-of-others"}],
    "securityContext": {"runAsUser": 0},
    "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    "initContainers": [{"name": "x", "image": "evil"}],
    "runtimeClassName": "none",
}
POD_FIELDS = {
    "restartPolicy",
    "automountServiceAccountToken",
    "enableServiceLinks",
    "terminationGracePeriodSeconds",
    "securityContext",
    "containers",
    "volumes",
    "tolerations",
}


def pods(run: Run) -> dict[str, dict[str, Any]]:
    resolved = resolve(run, settings=SETTINGS, find_run=lambda _: None)
    built = {
        str(stage): build_job(run, stage=stage, attempt=1, resolved=resolved, digest="", settings=SETTINGS)
        for stage in Stage
    }
    built["tensorboard"] = build_tensorboard(run, resolved=resolved, digest="", settings=SETTINGS)[0]
    return {name: body["spec"]["template"]["spec"] for name, body in built.items()}


def test_no_wish_of_the_spec_reaches_a_pod() -> None:
    everything = {str(stage): {**WISHES, "pod": WISHES, **WISHES} for stage in Stage} | WISHES
    for name, pod in pods(a_run().spec(**everything).build()).items():
        assert set(pod) - {"nodeSelector"} <= POD_FIELDS, name
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsUser"] == 65532


def test_pods_mount_the_runs_secret_into_the_agent_and_nothing_else() -> None:
    for name, pod in pods(a_run().build()).items():
        secrets = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
        kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
        assert (secrets, kinds) == (["trainingrun-s3"], {"secret", "configMap", "emptyDir"}), name
        seeing = [c["name"] for c in pod["containers"] for mount in c["volumeMounts"] if mount["name"] == "credentials"]
        assert seeing == ["mirror" if name == "tensorboard" else "agent"]
        assert [c for c in pod["containers"] if "envFrom" in c or "secretKeyRef" in str(c)] == []


def test_pull_secrets_come_from_the_installer_alone() -> None:
    run = a_run().spec(train={"pod": {"imagePullSecrets": [{"name": "registry-of-others"}]}}).build()
    settings = replace(SETTINGS, image_pull_secrets=("pull",))
    resolved = resolve(run, settings=settings, find_run=lambda _: None)
    job = build_job(run, stage=Stage.TRAIN, attempt=1, resolved=resolved, digest="", settings=settings)
    assert job["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "pull"}]


@pytest.mark.parametrize(
    ("hosts", "refused"),
    [(("zoo.example",), False), (("*",), True), (("*.example", "zoo.*"), True), (("zoo.*", "zoo.example"), False)],
    ids=["exact", "any", "wildcards", "exact beside a wildcard"],
)
def test_only_a_host_that_is_named_may_be_in_any_network(hosts: tuple[str, ...], refused: bool) -> None:
    url = "https://zoo.example/a/b.tar.gz"
    found = accepted({"model": {"pretrained": {"uri": url, "sha256": "a" * 64}}}, Policy(weight_hosts=hosts))
    assert found["model"]["pretrained"]["url"] == url
    assert ("169.254.0.0/16" in found["model"]["pretrained"].get("refusedNetworks", ())) is refused


def test_a_run_of_another_namespace_is_not_found() -> None:
    asked: list[str] = []
    run = a_run().spec(model={"pretrained": {"run": "theirs"}}).build()
    with pytest.raises(NotAcceptedError) as refusal:
        resolve(run, settings=SETTINGS, find_run=asked.append)
    assert (set(asked), refusal.value.reason.name) == ({"default/theirs"}, "PretrainedRunNotFound")
