"""The objects that the operator creates for a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api.names import Stage
from trainingrun.builders.jobs import build_job
from trainingrun.builders.resolved import build_resolved, resolved_text
from trainingrun.builders.tensorboard import build_tensorboard
from trainingrun.domain.resolve import resolve
from trainingrun_agent.shared import liveness
from trfakes.builders import RUN_UID, SETTINGS, RunBuilder, a_run

DIGEST = "d1" * 32
OWNER = {
    "apiVersion": "trainingrun.dev/v1alpha1",
    "kind": "TrainingRun",
    "name": "tire",
    "uid": RUN_UID,
    "controller": True,
}
LABELS = {
    "trainingrun.dev/run": "tire",
    "trainingrun.dev/run-uid": RUN_UID,
    "app.kubernetes.io/managed-by": "trainingrun-operator",
}
LOCKED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
}
NODE_GONE = [
    {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
    {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
]


def probe(path: str, *, delay: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": 8080},
        "initialDelaySeconds": delay,
        "periodSeconds": 5,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
        "terminationGracePeriodSeconds": 20,
    }


def from_field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def job(stage: Stage, builder: RunBuilder | None = None, *, attempt: int = 1, **settings: Any) -> dict[str, Any]:
    run = (builder or a_run()).build()
    all_settings = replace(SETTINGS, **settings)
    resolved = resolve(run, settings=all_settings, find_run=lambda _: None)
    return build_job(run, stage=stage, attempt=attempt, resolved=resolved, digest=DIGEST, settings=all_settings)


def test_only_the_agent_of_prep_sees_a_configuration_of_the_user() -> None:
    builder = a_run().spec(model={"config": {"configMap": {"name": "mine", "key": "a.config"}}})
    pod = job(Stage.PREP, builder)["spec"]["template"]["spec"]
    (agent,) = pod["containers"]
    mount = {"name": "model-config", "mountPath": "/etc/trainingrun/model-config", "readOnly": True}
    assert mount in agent["volumeMounts"]
    items = [{"key": "a.config", "path": "pipeline.config"}]
    assert {"name": "model-config", "configMap": {"name": "mine", "items": items}} in pod["volumes"]
    others = (job(Stage.TRAIN, builder), job(Stage.EXPORT, builder), job(Stage.PREP))
    assert "model-config" not in str(others)


def test_job_of_preparation() -> None:
    labels = {
        **LABELS,
        "trainingrun.dev/stage": "prep",
        "trainingrun.dev/attempt": "2",
        "app.kubernetes.io/component": "prep",
    }
    assert job(Stage.PREP, attempt=2) == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "tire-prep-2",
            "namespace": "default",
            "labels": labels,
            "ownerReferences": [OWNER],
            "annotations": {"trainingrun.dev/pod-settings": SETTINGS.run_pods.digest},
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 30,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 65532,
                        "runAsGroup": 65532,
                        "fsGroup": 65532,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "agent",
                            "image": "agent:1",
                            "imagePullPolicy": "IfNotPresent",
                            "args": ["prep"],
                            "env": [
                                {"name": "TRAININGRUN_STAGE", "value": "prep"},
                                {"name": "TRAININGRUN_ATTEMPT", "value": "2"},
                                {"name": "TERMINATION_GRACE_SECONDS", "value": "30"},
                                {"name": "TRAININGRUN_RESOLVED_SHA256", "value": DIGEST},
                                {"name": "TRAININGRUN_RUN_UID", "value": RUN_UID},
                                from_field("POD_NAME", "metadata.name"),
                                from_field("POD_UID", "metadata.uid"),
                                from_field("POD_IP", "status.podIP"),
                            ],
                            "ports": [{"name": "progress", "containerPort": 8080}],
                            "livenessProbe": probe("/healthz", delay=30, failures=12),
                            "resources": {
                                "requests": {"cpu": "100m", "memory": "256Mi"},
                                "limits": {"memory": "1Gi"},
                            },
                            "securityContext": LOCKED,
                            "terminationMessagePath": "/dev/termination-log",
                            "terminationMessagePolicy": "File",
                            "volumeMounts": [
                                {"name": "shared", "mountPath": "/shared"},
                                {"name": "tmp-agent", "mountPath": "/tmp"},
                                {
                                    "name": "resolved",
                                    "mountPath": "/etc/trainingrun/resolved.json",
                                    "subPath": "resolved.json",
                                    "readOnly": True,
                                },
                                {
                                    "name": "credentials",
                                    "mountPath": "/var/run/secrets/trainingrun/s3",
                                    "readOnly": True,
                                },
                            ],
                        }
                    ],
                    "volumes": [
                        {
                            "name": "resolved",
                            "configMap": {
                                "name": "tire-resolved-11111111",
                                "items": [{"key": "resolved.json", "path": "resolved.json"}],
                            },
                        },
                        {"name": "credentials", "secret": {"secretName": "trainingrun-s3", "defaultMode": 0o440}},
                        {"name": "shared", "emptyDir": {"sizeLimit": "20Gi"}},
                        {"name": "tmp-agent", "emptyDir": {"sizeLimit": "1Gi"}},
                    ],
                    "tolerations": NODE_GONE,
                },
            },
        },
    }


def test_the_trainer_has_no_credentials_and_the_agent_answers_its_liveness_probe() -> None:
    _, trainer = job(Stage.TRAIN)["spec"]["template"]["spec"]["containers"]
    assert trainer == {
        "name": "trainer",
        "image": "trainer:1",
        "imagePullPolicy": "IfNotPresent",
        "args": ["train", "--shared", "/shared"],
        "env": [],
        "resources": {"requests": {"cpu": "2", "memory": "2Gi"}},
        "securityContext": LOCKED,
        "volumeMounts": [
            {"name": "shared", "mountPath": "/shared"},
            {"name": "tmp-trainer", "mountPath": "/tmp"},
        ],
        "livenessProbe": probe("/trainer-alive", delay=10, failures=6),
    }


@pytest.mark.parametrize(
    ("asked", "stage", "seconds"),
    [({}, Stage.TRAIN, 180), ({"terminationGracePeriodSeconds": 600}, Stage.TRAIN, 600), ({}, Stage.EXPORT, 30)],
    ids=["default", "asked for", "export"],
)
def test_the_agent_knows_how_long_its_pod_has_to_end(asked: dict[str, Any], stage: Stage, seconds: int) -> None:
    pod = job(stage, a_run().spec(train=asked))["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == seconds
    assert {"name": "TERMINATION_GRACE_SECONDS", "value": str(seconds)} in pod["containers"][0]["env"]


def test_a_run_that_an_earlier_version_accepted_has_the_grace_period_of_then() -> None:
    run = a_run().build()
    document = resolve(run, settings=SETTINGS, find_run=lambda _: None)
    del document["train"]["terminationGracePeriodSeconds"]
    made = build_job(run, stage=Stage.TRAIN, attempt=1, resolved=document, digest="d", settings=SETTINGS)
    assert made["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 180


def test_a_gpu_is_asked_for_by_the_trainer_only() -> None:
    run = a_run().spec(train={"gpus": 1, "pod": {"resources": {"limits": {"memory": "8Gi"}}}})
    agent, trainer = job(Stage.TRAIN, run)["spec"]["template"]["spec"]["containers"]
    assert trainer["resources"] == {"limits": {"memory": "8Gi", "nvidia.com/gpu": "1"}}
    assert "nvidia.com/gpu" not in agent["resources"]["limits"]
    _, exporter = job(Stage.EXPORT, run)["spec"]["template"]["spec"]["containers"]
    assert exporter["name"] == "exporter"
    assert exporter["args"] == ["export", "--shared", "/shared"]
    assert exporter["resources"] == {"requests": {"cpu": "1", "memory": "2Gi"}}


def test_placement_applies_to_its_stage_only() -> None:
    own = {"key": "gpu", "operator": "Exists"}
    run = a_run().spec(train={"pod": {"nodeSelector": {"gpu": "t4"}, "tolerations": [own]}, "scratch": "50Gi"})
    train, prep = (job(stage, run)["spec"]["template"]["spec"] for stage in (Stage.TRAIN, Stage.PREP))
    assert train["nodeSelector"] == {"gpu": "t4"}
    assert train["tolerations"] == [own, *NODE_GONE]
    assert {"name": "shared", "emptyDir": {"sizeLimit": "50Gi"}} in train["volumes"]
    assert "nodeSelector" not in prep


def test_a_run_may_leave_a_lost_node_sooner() -> None:
    """Kubernetes acts on the first toleration that fits a taint."""
    soon = {**NODE_GONE[0], "tolerationSeconds": 5}
    pod = job(Stage.TRAIN, a_run().spec(train={"pod": {"tolerations": [soon]}}))["spec"]["template"]["spec"]
    assert next(t for t in pod["tolerations"] if t["key"].endswith("unreachable")) == soon


def test_a_ca_bundle_is_mounted_into_the_agent_only() -> None:
    storage = {"endpoint": "https://s3", "caBundle": {"configMapName": "company-ca", "key": "root.pem"}}
    pod = job(Stage.TRAIN, a_run().spec(storage=storage))["spec"]["template"]["spec"]
    volume = {"name": "company-ca", "items": [{"key": "root.pem", "path": "ca.crt"}]}
    assert {"name": "ca", "configMap": volume} in pod["volumes"]
    mounted = {c["name"]: [m["name"] for m in c["volumeMounts"]] for c in pod["containers"]}
    assert mounted == {
        "agent": ["shared", "tmp-agent", "resolved", "credentials", "ca"],
        "trainer": ["shared", "tmp-trainer"],
    }


def test_pull_secrets_and_policy_come_from_the_installation() -> None:
    pod = job(Stage.EXPORT, image_pull_secrets=("pull",), image_pull_policy="Never")["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert {c["imagePullPolicy"] for c in pod["containers"]} == {"Never"}


@pytest.mark.parametrize("stage", list(Stage))
def test_the_longest_name_gives_a_valid_job_name(stage: Stage) -> None:
    assert len(job(stage, a_run("r" * 40), attempt=10**9)["metadata"]["name"]) <= 63


def test_the_resolved_document_is_immutable_and_owned() -> None:
    body = build_resolved(a_run().build(), text=resolved_text({"contractVersion": 1}))
    assert body == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "tire-resolved-11111111",
            "namespace": "default",
            "labels": LABELS,
            "ownerReferences": [OWNER],
        },
        "immutable": True,
        "data": {"resolved.json": '{\n  "contractVersion": 1\n}\n'},
    }


def test_tensorboard_is_a_deployment_behind_a_service() -> None:
    run = a_run().build()
    resolved = resolve(run, settings=SETTINGS, find_run=lambda _: None)
    deployment, service = build_tensorboard(run, resolved=resolved, digest=DIGEST, settings=SETTINGS)
    selector = {**LABELS, "app.kubernetes.io/component": "tensorboard"}
    meta = {"name": "tire-tensorboard", "namespace": "default", "ownerReferences": [OWNER]}
    assert service == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**meta, "labels": selector},
        "spec": {
            "selector": selector,
            "ports": [{"name": "http", "port": 6006, "targetPort": "http", "protocol": "TCP"}],
        },
    }
    assert deployment["metadata"] == service["metadata"]
    spec = deployment["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"] == selector
    assert "trainingrun.dev/stage" not in selector  # otherwise its pod would count as an attempt
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Always"
    mirror, board = pod["containers"]
    assert (mirror["name"], mirror["image"], mirror["args"]) == ("mirror", "agent:1", ["mirror"])
    assert mirror["env"][0] == {"name": "TRAININGRUN_RESOLVED_SHA256", "value": DIGEST}
    assert board["args"][:6] == ["--logdir", "/shared/logs", "--host", "0.0.0.0", "--port", "6006"]  # noqa: S104
    assert [m["name"] for m in board["volumeMounts"]] == ["shared", "tmp-tensorboard"]
    assert {c["name"]: c["securityContext"] for c in pod["containers"]} == {"mirror": LOCKED, "tensorboard": LOCKED}


def test_the_agent_knows_when_the_kubelet_has_acted_on_the_trainers_probe() -> None:
    containers = job(Stage.TRAIN)["spec"]["template"]["spec"]["containers"]
    (probed,) = (one["livenessProbe"] for one in containers if one["name"] == "trainer")
    assert probed["periodSeconds"] * (probed["failureThreshold"] - 1) == liveness.PROBE_SECONDS
    assert probed["terminationGracePeriodSeconds"] < liveness.PROBE_GRACE_SECONDS
