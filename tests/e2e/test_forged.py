"""A tenant with rights on TrainingRuns and ConfigMaps alone forges a run's ConfigMap; one with more, its Job.

No pod of the operator runs the forged image, and none reads storage for a forged document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from trainingrun.api.names import resolved_name
from trcluster.command import CommandError
from trdemo.follow import condition
from trdemo.installation import SMALL_PREP, Installation, Object, tire_run

pytestmark = pytest.mark.node
LABEL = "trainingrun.dev/forged-test"
EVIL = "evil.example.com/agent:1"
SECONDS = 240


def tenant(namespace: str) -> str:
    return f"--as=system:serviceaccount:{namespace}:tenant"


@pytest.fixture(scope="module", autouse=True)
def rights(installation: Installation, namespace: str) -> None:
    kubectl = installation.target.kubectl
    kubectl("create", "serviceaccount", "tenant", "-n", namespace)
    every = "--verb=get,list,watch,create,update,patch,delete"
    kubectl("create", "role", "tenant", "-n", namespace, every, "--resource=trainingruns.trainingrun.dev,configmaps")
    kubectl(
        *("create", "rolebinding", "tenant", "-n", namespace, "--role=tenant"),
        f"--serviceaccount={namespace}:tenant",
    )


@pytest.fixture
def no_node(installation: Installation) -> Iterator[dict[str, str]]:
    """A node selector that no node has until a test labels one."""
    yield {LABEL: "yes"}
    installation.target.kubectl("label", "nodes", "--all", f"{LABEL}-")


def map_of(run: Object) -> str:
    return resolved_name(run["metadata"]["name"], uid=run["metadata"]["uid"])


def replace_map(installation: Installation, run: Object, namespace: str, **document: object) -> None:
    """Put another ConfigMap in the place of the run's own, without an owner, as the tenant."""
    kubectl, name = installation.target.kubectl, map_of(run)
    found = kubectl.get("configmap", name, namespace=namespace)
    text = json.dumps({**json.loads(found["data"]["resolved.json"]), **document})
    meta = {"name": name, "namespace": namespace}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "immutable": True}
    kubectl("delete", tenant(namespace), "configmap", name, "-n", namespace)
    kubectl("create", tenant(namespace), "-f", "-", stdin=json.dumps({**body, "data": {"resolved.json": text}}))


def read(installation: Installation, name: str, namespace: str) -> Object:
    return installation.target.kubectl.get("trainingrun", name, namespace=namespace)


def has_reason(reason: str) -> object:
    return lambda status: any(c["reason"] == reason for c in status.get("conditions", ()))


def images(installation: Installation, namespace: str) -> str:
    return json.dumps(installation.target.kubectl.get("jobs,pods,deployments", namespace=namespace))


def test_a_pod_uses_nothing_of_a_config_map_that_was_put_in_the_place_of_the_runs_own(
    installation: Installation, namespace: str, no_node: dict[str, str]
) -> None:
    """The pod mounts it: it was replaced after the Job was created. Once it is deleted, the run goes on."""
    kubectl = installation.target.kubectl
    pod = {"pod": {**SMALL_PREP["pod"], "nodeSelector": no_node}}
    name = installation.apply(tire_run("swapped", prep=pod), namespace=namespace)
    where = {"namespace": namespace, "seconds": SECONDS}
    installation.until(name, has_reason("PodUnschedulable"), what="an unschedulable pod", **where)  # type: ignore[arg-type]
    run = read(installation, name, namespace)
    storage = {"endpoint": "http://169.254.169.254", "refusedNetworks": []}
    document = json.loads(kubectl.get("configmap", map_of(run), namespace=namespace)["data"]["resolved.json"])
    replace_map(installation, run, namespace, storage={**document["storage"], **storage}, images={"agent": EVIL})
    kubectl("label", "nodes", "--all", f"{LABEL}=yes")
    status = installation.until(name, has_reason("ConfigMapReplaced"), what="the refusal", **where)  # type: ignore[arg-type]
    assert status["attempts"][0]["lastReason"] == "OtherConfigMap"
    assert EVIL not in images(installation, namespace)
    kubectl("delete", tenant(namespace), "configmap", map_of(run), "-n", namespace)
    installation.until(name, lambda s: condition(s, "Prepared") == "True", what="the data set", **where)
    kubectl("delete", "trainingrun", name, "-n", namespace, "--wait=false")


def test_what_a_tenant_puts_under_the_names_of_a_run_starts_nothing(installation: Installation, namespace: str) -> None:
    """The ConfigMap during a suspension, and the Job of the next attempt, which needs more rights."""
    kubectl = installation.target.kubectl
    name = installation.apply(tire_run("robbed", prep=SMALL_PREP, suspend=True), namespace=namespace)
    where = {"namespace": namespace, "seconds": SECONDS}
    installation.until(name, has_reason("Suspended"), what="the suspension", **where)  # type: ignore[arg-type]
    run = read(installation, name, namespace)
    job = forged_job(run, namespace)
    with pytest.raises(CommandError, match="cannot create resource"):
        kubectl("create", tenant(namespace), "-f", "-", stdin=job)
    kubectl("create", "-f", "-", stdin=job)
    replace_map(installation, run, namespace, images={"agent": EVIL})
    kubectl("patch", "trainingrun", name, "-n", namespace, "--type=merge", "-p", '{"spec":{"suspend":false}}')
    installation.until(name, has_reason("ConfigMapReplaced"), what="the refusal", **where)  # type: ignore[arg-type]
    kubectl("delete", tenant(namespace), "configmap", map_of(run), "-n", namespace)
    taken = f"Job {namespace}/{name}-prep-1 exists and does not belong to this run"
    installation.until(name, lambda s: taken in s.get("message", ""), what="the name of the Job", **where)
    kubectl("delete", "job", f"{name}-prep-1", "-n", namespace)
    installation.until(name, lambda s: condition(s, "Prepared") == "True", what="the data set", **where)
    kubectl("delete", "trainingrun", name, "-n", namespace, "--wait=false")


def forged_job(run: Object, namespace: str) -> str:
    """A Job of the name, labels and owner of the run's first; nobody has its image."""
    meta = run["metadata"]
    labels = {"run": meta["name"], "run-uid": meta["uid"], "stage": "prep", "attempt": "1"}
    named = {f"trainingrun.dev/{key}": value for key, value in labels.items()}
    owner = {"apiVersion": run["apiVersion"], "kind": run["kind"], "name": meta["name"], "uid": meta["uid"]}
    security = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "agent", "image": "evil.example.com/job:1", "securityContext": security}
    pod = {"restartPolicy": "Never", "containers": [container]}
    pod["securityContext"] = {"runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}  # type: ignore[assignment]
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{meta['name']}-prep-1",
            "namespace": namespace,
            "labels": named,
            "ownerReferences": [{**owner, "controller": True}],
        },
        "spec": {"template": {"metadata": {"labels": named}, "spec": pod}},
    }
    return json.dumps(body)
