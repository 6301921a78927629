"""A tenant who may write TrainingRuns and ConfigMaps, and one who may write Jobs too, forge what the operator reads.

API server, operator and agent are the real ones; nodes are played.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from trainingrun.api.names import resolved_name
from trcluster.command import CommandError
from trdemo.next_step import in_shell
from trdemo.shell import Kubectl
from trfakes.fake_cluster import verdict
from trfakes.situations import NAMESPACE, Environment

pytestmark = pytest.mark.api
TENANT = f"--as=system:serviceaccount:{NAMESPACE}:tenant"
Body = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def tenant(environment: Environment) -> None:
    """Rights on TrainingRuns and ConfigMaps alone."""
    meta = {"name": "tenant", "namespace": NAMESPACE}
    every = ["get", "list", "watch", "create", "update", "patch", "delete"]
    rules = [
        {"apiGroups": ["trainingrun.dev"], "resources": ["trainingruns"], "verbs": every},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": every},
    ]
    rbac = "rbac.authorization.k8s.io"
    account = {"kind": "ServiceAccount", "name": "tenant", "namespace": NAMESPACE}
    environment.kubectl.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "subjects": [account],
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "tenant"},
        },
    )


def reference(run: Body) -> Body:
    named = {"apiVersion": run["apiVersion"], "kind": run["kind"], "controller": True}
    return {**named, "name": run["metadata"]["name"], "uid": run["metadata"]["uid"]}


def read_run(environment: Environment, name: str) -> Body:
    return environment.kubectl.get("trainingrun", name, namespace=NAMESPACE)


def forged_map(run: Body, document: Body, **meta: Any) -> str:
    """A ConfigMap of the name that the run's own has."""
    name = resolved_name(run["metadata"]["name"], uid=run["metadata"]["uid"])
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE, **meta}}
    return json.dumps({**body, "immutable": True, "data": {"resolved.json": json.dumps(document)}})


def evil_document(**fields: Any) -> Body:
    return {"contractVersion": 1, "images": dict.fromkeys(("agent", "trainer", "tensorboard"), "evil:1"), **fields}


def command_of(environment: Environment, name: str) -> str:
    """The command in the message of a run."""
    message: str = read_run(environment, name)["status"]["message"]
    return message[message.index("kubectl") : message.index(". The operator")]


def images(environment: Environment) -> set[str]:
    jobs = environment.kubectl.get("jobs", namespace=NAMESPACE)["items"]
    return {c["image"] for job in jobs for c in job["spec"]["template"]["spec"]["containers"]}


def test_a_config_map_created_before_the_acceptance_is_refused_and_the_command_of_the_message_helps(
    environment: Environment, user: Kubectl, tmp_path: Any
) -> None:
    environment.operator.stop()  # on a busy cluster the tenant is first without that
    environment.apply("forged")
    run = read_run(environment, "forged")
    user("create", TENANT, "-f", "-", stdin=forged_map(run, evil_document(), ownerReferences=[reference(run)]))
    environment.serve()
    environment.until_reason("forged", "ForeignConfigMap")
    selector = f"trainingrun.dev/run-uid={run['metadata']['uid']}"  # the namespace has runs of other tests
    assert not environment.kubectl.get("jobs", namespace=NAMESPACE, selector=selector)["items"]
    in_shell(user, f"{command_of(environment, 'forged')} {TENANT}", folder=tmp_path)
    environment.node.run_through("forged-prep-1")
    environment.until_reason("forged", "Completed")
    assert "evil:1" not in images(environment)


def test_a_config_map_replaced_after_the_acceptance_starts_nothing(
    environment: Environment, user: Kubectl, tmp_path: Any
) -> None:
    environment.apply("swapped", suspend=True)
    environment.until_reason("swapped", "Suspended")
    run = read_run(environment, "swapped")
    name = resolved_name("swapped", uid=run["metadata"]["uid"])
    user("delete", TENANT, "configmap", name, "-n", NAMESPACE)
    user("create", TENANT, "-f", "-", stdin=forged_map(run, evil_document()))
    environment.patch("swapped", suspend=False)
    environment.until_reason("swapped", "ConfigMapReplaced")
    in_shell(user, f"{command_of(environment, 'swapped')} {TENANT}", folder=tmp_path)
    environment.node.run_through("swapped-prep-1")
    environment.until(
        "swapped", lambda status: any(c["type"] == "Prepared" and c["status"] == "True" for c in status["conditions"])
    )
    assert "evil:1" not in images(environment)


def test_an_agent_uses_nothing_of_a_config_map_that_was_replaced_after_its_job_was_created(
    environment: Environment, user: Kubectl
) -> None:
    environment.apply("raced")
    environment.node.job("raced-prep-1")
    run = read_run(environment, "raced")
    name = resolved_name("raced", uid=run["metadata"]["uid"])
    found = environment.kubectl.get("configmap", name, namespace=NAMESPACE)
    document = json.loads(found["data"]["resolved.json"])
    document["storage"] |= {"endpoint": "http://169.254.169.254", "refusedNetworks": []}
    user("delete", TENANT, "configmap", name, "-n", NAMESPACE)
    user("create", TENANT, "-f", "-", stdin=forged_map(run, document))
    environment.node.run_through("raced-prep-1")
    environment.until("raced", lambda status: status["attempts"][0].get("lastReason") == "OtherConfigMap")
    environment.until_reason("raced", "ConfigMapReplaced")


def with_labels(run: Body, job: str) -> Body:
    """Labels of a Job of the run, as anyone can write them."""
    _, stage, attempt = job.rsplit("-", 2)
    labels = {"run": run["metadata"]["name"], "run-uid": run["metadata"]["uid"], "stage": stage, "attempt": attempt}
    return {f"trainingrun.dev/{key}": value for key, value in labels.items()}


def forged_job(run: Body, job: str) -> str:
    labels = with_labels(run, job)
    meta = {"name": job, "namespace": NAMESPACE, "labels": labels, "ownerReferences": [reference(run)]}
    pod = {"restartPolicy": "Never", "containers": [{"name": "agent", "image": "evil:1"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return json.dumps({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"template": template}})


def until_message(environment: Environment, name: str, text: str) -> None:
    wanted: Callable[[Body], bool] = lambda status: text in status.get("message", "")  # noqa: E731
    environment.until(name, wanted)


def test_a_job_of_the_next_attempts_name_proves_nothing(environment: Environment, user: Kubectl) -> None:
    environment.operator.stop()
    environment.apply("robbed")
    run = read_run(environment, "robbed")
    with pytest.raises(CommandError, match="cannot create resource"):
        user("create", TENANT, "-f", "-", stdin=forged_job(run, "robbed-prep-1"))
    user("create", "-f", "-", stdin=forged_job(run, "robbed-prep-1"))  # with rights on Jobs
    environment.node.make_pod("robbed-prep-1")
    environment.node.report("robbed-prep-1", verdict=verdict("prep"))
    environment.serve()
    until_message(environment, "robbed", f"Job {NAMESPACE}/robbed-prep-1 exists and does not belong to this run")
    status = read_run(environment, "robbed")["status"]
    assert not [c for c in status["conditions"] if c["type"] == "Prepared" and c["status"] == "True"]
    user("delete", "pod", "robbed-prep-1-7xk2p", "-n", NAMESPACE, "--force", "--grace-period=0")
    user("delete", "job", "robbed-prep-1", "-n", NAMESPACE)
    environment.node.run_through("robbed-prep-1")
    environment.until_reason("robbed", "Completed")
