"""The objects that the chart installs must agree with each other, with the manifests and with the operator.

How a template uses a value is tested in charts/trainingrun-operator/tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from trainingrun.api.names import CLUSTER_LEASE, LEASE
from trainingrun.api.settings import Settings, StorageAccess
from trfakes.builders import SETTINGS

Body = dict[str, Any]
Rendered = Callable[..., list[Body]]
Tool = Callable[..., str]

ROOT = Path(__file__).resolve().parents[2]
HELM_ONLY = {"app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"}
DIGEST = "sha256:" + "a" * 64


def _kinds(objects: list[Body], kind: str) -> list[Body]:
    return [body for body in objects if body["kind"] == kind]


def _names(objects: list[Body], kind: str) -> set[tuple[str | None, str]]:
    return {(body["metadata"].get("namespace"), body["metadata"]["name"]) for body in _kinds(objects, kind)}


def _pod(objects: list[Body]) -> Body:
    (deployment,) = _kinds(objects, "Deployment")
    return dict(deployment["spec"]["template"]["spec"])


def _env(objects: list[Body]) -> dict[str, str]:
    (container,) = _pod(objects)["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


def _comparable(body: Body) -> Body:
    meta = body["metadata"]
    labels = {key: value for key, value in meta["labels"].items() if key not in HELM_ONLY}
    kept = {key: value for key, value in meta.items() if key != "annotations"}
    return {**body, "metadata": {**kept, "labels": labels}}


def test_helm_and_kustomize_install_the_same_objects(rendered: Rendered, tool: Tool) -> None:
    """Except for labels that Helm adds, and the namespace, which Helm creates itself."""
    text = tool("kubectl", "kustomize", str(ROOT / "manifests"))
    # A number such as 1e-10, as kustomize writes it, is one in YAML 1.2, but a text for this reader.
    manifests = yaml.safe_load_all(re.sub(r": (\d+)(e-\d+)$", r": \1.0\2", text, flags=re.MULTILINE))
    by_helm = sorted((_comparable(body) for body in rendered()), key=_order)
    by_kustomize = sorted((_comparable(body) for body in manifests if body["kind"] != "Namespace"), key=_order)
    assert by_helm == by_kustomize


def _order(body: Body) -> tuple[str, str]:
    return body["kind"], body["metadata"]["name"]


def test_namespaced_rules_are_those_of_cluster_mode(rendered: Rendered) -> None:
    """The mode changes where the rights apply, never which rights they are."""
    (everywhere,) = [b for b in _kinds(rendered(), "ClusterRole") if b["metadata"]["name"] == "trainingrun-operator"]
    (there,) = [
        b
        for b in _kinds(rendered("watchNamespaces={vision}"), "Role")
        if b["metadata"]["name"] == "trainingrun-operator"
    ]
    assert there["rules"] == everywhere["rules"]


@pytest.mark.parametrize("mode", [(), ("watchNamespaces={vision}",)], ids=["cluster", "namespaced"])
def test_no_rule_reaches_secrets_or_everything(mode: tuple[str, ...], rendered: Rendered) -> None:
    """Nor any right that leads to them: wildcards, exec, tokens, impersonation. Nodes are listed, never changed."""
    forbidden = {"*", "secrets", "pods/exec", "pods/attach", "serviceaccounts/token", "nodes/proxy"}
    rules = [rule for body in rendered(*mode) for rule in body.get("rules", ())]
    assert rules
    for rule in rules:
        assert not forbidden & set(rule["resources"]), rule
        assert "nodes" not in rule["resources"] or rule["verbs"] == ["list"], rule
        assert not {"*", "escalate", "bind", "impersonate"} & set(rule["verbs"]), rule
        assert "*" not in rule["apiGroups"], rule


@pytest.mark.parametrize("release", ["trainingrun-operator", "two", "my-trainingrun-operator"])
def test_references_match_whatever_the_release_is_called(release: str, rendered: Rendered) -> None:
    """Bindings refer to existing roles and to the existing account; selectors match the pod's labels."""
    objects = rendered(release=release)
    (account,) = _names(objects, "ServiceAccount")
    assert _pod(objects)["serviceAccountName"] == account[1]
    for kind in ("ClusterRole", "Role"):
        for binding in _kinds(objects, f"{kind}Binding"):
            assert (binding["metadata"].get("namespace"), binding["roleRef"]["name"]) in _names(objects, kind)
            assert [(s["namespace"], s["name"]) for s in binding["subjects"]] == [account]
    (deployment,), (service,) = _kinds(objects, "Deployment"), _kinds(objects, "Service")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels


def test_operator_reads_the_settings_the_chart_writes(rendered: Rendered) -> None:
    """The operator reads each value as the setting that it stands for."""
    objects = rendered(
        f"images.trainer.digest={DIGEST}",
        "images.agent.repository=registry.example.com:5000/agent",
        "images.agent.tag=v2",
        "imagePullPolicy=Never",
        "imagePullSecrets[0].name=one",
        "imagePullSecrets[1].name=two",
        "watchNamespaces={vision}",
        "leaseNamespace=platform",
        "policy.images={registry.example.com/*}",
        "policy.secretNames={s3-*,minio}",
        "policy.serviceAccounts={trainingrun-*,s3}",
        "policy.endpoints={https://*.example.com}",
        "policy.stsEndpoints={https://sts.example.com,http://seaweedfs.storage:8333}",
        "policy.proxies={http://*.proxies.example:3128}",
        "policy.weightHosts={download.tensorflow.org,*.models.example:8443}",
        "policy.tolerations={nvidia.com/*}",
        "policy.podLabels={cost-center}",
        "policy.podAnnotations={example.com/*}",
        "policy.priorityClasses={batch-*,urgent}",
        "runs.podLabels.cost-center=vision",
        "runs.podAnnotations.note=a <b> $(TRAININGRUN_POD_NAME) \\, c",
        "runs.priorityClassName=batch",
        "runs.doNotDisruptTraining=true",
        "runs.tokenAudience=storage.example.com",
        "runs.storageProxy.url=http://proxy.example:3128",
        "runs.storageProxy.noProxy={svc,10.0.0.0/8}",
        "runs.agent.resources.limits.cpu=1",
        "tensorboard.enabled=false",
        "tensorboard.ttlSecondsAfterFinished=1000002",
        "tensorboard.priorityClassName=low",
        "tensorboard.resources.limits.cpu=500m",
        "tensorboard.mirror.resources.limits.cpu=0.5",
        "failedJobsTTLSeconds=1000000",
        "lostPodSeconds=1000001",
        "log.level=DEBUG",
        "log.format=json",
    )
    settings = Settings.from_env(_env(objects))
    assert settings.trainer_image == f"trainingrun/trainer@{DIGEST}"
    assert settings.agent_image == "registry.example.com:5000/agent:v2"
    assert settings.tensorboard_image == "trainingrun/tensorboard:0.1.0"
    assert settings.namespaces == ("vision",)
    assert settings.lease_namespace == "platform"
    assert settings.image_pull_secrets == ("one", "two")
    assert settings.image_pull_policy == "Never"
    assert settings.policy.images == ("registry.example.com/*",)
    assert settings.policy.secret_names == ("s3-*", "minio")
    assert settings.policy.service_accounts == ("trainingrun-*", "s3")
    assert settings.policy.endpoints == ("https://*.example.com",)
    assert settings.policy.sts_endpoints == ("https://sts.example.com", "http://seaweedfs.storage:8333")
    assert settings.policy.proxies == ("http://*.proxies.example:3128",)
    assert settings.storage_access == StorageAccess(
        proxy="http://proxy.example:3128", no_proxy=("svc", "10.0.0.0/8"), token_audience="storage.example.com"
    )
    assert settings.policy.weight_hosts == ("download.tensorflow.org", "*.models.example:8443")
    assert settings.policy.tolerations == ("nvidia.com/*",)
    assert settings.policy.pod_labels == ("cost-center",)
    assert settings.policy.pod_annotations == ("example.com/*",)
    assert settings.policy.priority_classes == ("batch-*", "urgent")
    assert settings.run_pods.labels == {"cost-center": "vision"}
    assert _expanded(settings.run_pods.annotations["note"]) == "a <b> $(TRAININGRUN_POD_NAME) , c"
    assert (settings.run_pods.priority_class, settings.run_pods.keep_training) == ("batch", True)
    assert settings.run_pods.agent_resources == _with_cpu(SETTINGS.run_pods.agent_resources, "1")
    assert (settings.tensorboard.enabled, settings.tensorboard.ttl_seconds) == (False, 1000002)
    assert settings.tensorboard.priority_class == "low"
    assert settings.tensorboard.resources == _with_cpu(SETTINGS.tensorboard.resources, "500m")
    assert settings.tensorboard.mirror_resources == _with_cpu(SETTINGS.tensorboard.mirror_resources, "0.5")
    assert settings.failed_jobs_ttl_seconds == 1000000
    assert settings.lost_pod_seconds == 1000001
    assert (settings.log_level, settings.log_format) == ("DEBUG", "json")
    pod = _pod(objects)
    assert pod["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
    assert pod["containers"][0]["imagePullPolicy"] == "Never"


def _expanded(text: str) -> str:
    """The value of an environment variable as the kubelet hands it to the container."""
    return text.replace("$$(", "$(")


def _with_cpu(resources: Mapping[str, Mapping[str, str]], limit: str) -> Body:
    return {**resources, "limits": {**resources["limits"], "cpu": limit}}


def test_the_operator_looks_for_the_leases_the_chart_brings(rendered: Rendered) -> None:
    """With permissions on Leases of these names only, in these namespaces only."""
    assert _names(rendered(), "Lease") == {("kube-system", CLUSTER_LEASE)}
    objects = rendered("watchNamespaces={vision,robots}")
    assert _names(objects, "Lease") == {("vision", LEASE), ("robots", LEASE)}
    for body in (*objects, *rendered()):
        for rule in body.get("rules", ()):
            if rule["resources"] == ["leases"] and rule["verbs"] != ["create"]:
                assert set(rule["resourceNames"]) <= {LEASE, CLUSTER_LEASE}


def test_default_settings_are_the_operators_own(rendered: Rendered) -> None:
    """A chart without values and an operator without settings agree."""
    env = _env(rendered())
    images = {name: value for name, value in env.items() if name.endswith("_IMAGE")}
    assert len(images) == 3
    # Only where the chart installs the PriorityClass may pods name it.
    env["TRAININGRUN_TENSORBOARD_PRIORITY_CLASS"] = ""
    assert Settings.from_env(env) == Settings.from_env(images)


@pytest.mark.parametrize(
    ("values", "used", "installed"),
    [
        ((), "trainingrun-tensorboard", True),
        (("watchNamespaces={vision}",), "trainingrun-tensorboard", True),
        (("crds.enabled=false",), "", False),
        (("tensorboard.priorityClassName=low",), "low", False),
    ],
    ids=["default", "namespaced", "nothing cluster-wide", "named by the installer"],
)
def test_tensorboards_have_a_priority_class_that_exists(
    values: tuple[str, ...], used: str, installed: bool, rendered: Rendered
) -> None:
    """Pods that name a class which does not exist are refused."""
    objects = rendered(*values)
    assert Settings.from_env(_env(objects)).tensorboard.priority_class == used
    assert _names(objects, "PriorityClass") == ({(None, used)} if installed else set())


def test_cluster_wide_parts_can_be_left_out(rendered: Rendered) -> None:
    """For users who may install only into one namespace."""
    objects = rendered("crds.enabled=false", "userRoles.enabled=false", "watchNamespaces={vision}")
    assert all(body["metadata"].get("namespace") for body in objects)
