"""Fixtures: a real API server with the CRD, functions to create and change objects, kubectl.

All requests are dry runs, except for objects that a test of changes starts from.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from kubernetes import client, config
from moto.server import ThreadedMotoServer

from trcluster import Cluster, current
from trcluster.build import ensure
from trcluster.command import CommandError
from trcluster.waiting import until
from trdemo.bucket import Bucket
from trdemo.shell import Kubectl
from trdemo.target import Storage
from trfakes.builders import SETTINGS
from trfakes.harness import free_port
from trfakes.live_operator import LiveOperator
from trfakes.manual_node import ManualNode
from trfakes.situations import NAMESPACE as VISION
from trfakes.situations import Environment

ROOT = Path(__file__).resolve().parents[2]
CRD = ROOT / "manifests" / "crd" / "trainingruns.trainingrun.dev.yaml"
SAMPLES = ROOT / "manifests" / "samples"
NAMESPACE = "trainingrun-api-tests"
API: dict[str, Any] = {"group": "trainingrun.dev", "version": "v1alpha1", "plural": "trainingruns"}

Body = dict[str, Any]
Refusals = Callable[[Mapping[str, Any]], list[str]]


@pytest.fixture(scope="session")
def api_cluster() -> Iterator[Cluster]:
    """A cluster for this session, or for this xdist worker; its API server writes an audit log."""
    name = f"tests-api-{os.environ.get('PYTEST_XDIST_WORKER', 'one')}"
    with Cluster(name, tier="api", audit=True, echo=lambda _: None) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kubeconfig(request: pytest.FixtureRequest) -> Path:
    """Kubeconfig of your cluster with CLUSTER=current, otherwise of a cluster for this session."""
    if current.wanted():
        return current.kubeconfig()
    made: Cluster = request.getfixturevalue("api_cluster")
    return made.kubeconfig


@pytest.fixture(scope="session")
def kubectl(kubeconfig: Path) -> Iterator[Kubectl]:
    """Runs kubectl with the CRD served and returns what it prints; raises CommandError."""
    found = shutil.which("kubectl") if current.wanted() else None
    kubectl = Kubectl(found or built_kubectl(), kubeconfig=str(kubeconfig))
    kubectl("apply", "--server-side", "--filename", str(CRD))
    kubectl.wait("--for=condition=Established", "--filename", str(CRD), seconds=120)
    until(lambda: served(kubectl), what="the API server to serve TrainingRuns", seconds=120, not_yet=(CommandError,))
    space = kubectl("create", "namespace", NAMESPACE, "--dry-run=client", "--output=yaml")
    kubectl("apply", "--server-side", "--filename", "-", stdin=space)
    yield kubectl
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")  # needed only with CLUSTER=current


def built_kubectl() -> str:
    """Path of the kubectl that was built for the tests."""
    return str(ensure(("kubectl",), echo=print)["kubectl"])


def served(kubectl: Kubectl) -> bool:
    """Whether TrainingRuns can be listed and explained; raises CommandError while the API server cannot yet."""
    kubectl("get", "trainingruns.trainingrun.dev", "--all-namespaces", "--output=name")
    kubectl("explain", "trainingruns.spec")  # the schema is published a little after the kind
    return True


@pytest.fixture(scope="session")
def user(kubeconfig: Path, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """kubectl with a kubeconfig of its own, as docs/situations.md asks for: its namespace is set."""
    for name in (VISION, SETTINGS.pod_namespace):
        kubectl("apply", "-f", "-", stdin=kubectl("create", "namespace", name, "--dry-run=client", "-o", "yaml"))
    copy = tmp_path_factory.mktemp("user") / "kubeconfig"
    copy.write_text(kubeconfig.read_text())
    user = Kubectl(kubectl.binary, kubeconfig=str(copy))
    user("config", "set-context", "--current", f"--namespace={VISION}")
    return user


@pytest.fixture(scope="module")
def environment(user: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """An operator, an empty bucket and a node that tests control."""
    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3.start()
    endpoint = "http://{}:{}".format(*s3.get_host_and_port())
    requests.post(f"{endpoint}/moto-api/reset", timeout=10)  # all servers of a process share their buckets
    bucket = Bucket(Storage(endpoint, endpoint, "tires", "rolling"), "detectors")
    node = ManualNode(user, VISION, tmp_path_factory.mktemp("node"), free_port())
    operator = LiveOperator(user.kubeconfig, agent_port=node.agent_port)
    environment = Environment(user, node, bucket, endpoint, operator)
    environment.prepare()
    environment.serve()
    yield environment
    node.kill_all()
    operator.stop()
    s3.stop()


@pytest.fixture(scope="session")
def runs(kubeconfig: Path, kubectl: Kubectl) -> client.CustomObjectsApi:
    """The API of TrainingRuns; the CRD is installed."""
    assert kubectl("get", "crd", "trainingruns.trainingrun.dev", "--output=name")
    return client.CustomObjectsApi(config.new_client_from_config(str(kubeconfig)))  # type: ignore[no-untyped-call]


@pytest.fixture(scope="session")
def created(runs: client.CustomObjectsApi) -> Callable[[Mapping[str, Any]], Body]:
    """Dry-run a creation; returns the object as the server would store it, raises ApiException if it is refused."""

    def ask(body: Mapping[str, Any]) -> Body:
        answer: Any = runs.create_namespaced_custom_object(
            **API,
            namespace=NAMESPACE,
            body=dict(body),
            dry_run="All",
            field_validation="Strict",
            _request_timeout=10,
        )
        return dict(answer)

    return ask


@pytest.fixture(scope="session")
def refusals(created: Callable[[Mapping[str, Any]], Body]) -> Refusals:
    """Dry-run a creation; returns field and message of each reason for a refusal, none if it is accepted."""

    def ask(body: Mapping[str, Any]) -> list[str]:
        try:
            created(body)
        except client.ApiException as error:
            return _causes(error)
        return []

    return ask


@pytest.fixture(scope="session")
def change_refusals(runs: client.CustomObjectsApi) -> Callable[[Body, Body], list[str]]:
    """Create the first object and try to change it to the second; returns the reasons for a refusal."""
    names: dict[str, Body] = {}
    numbers = count()

    def ask(before: Body, after: Body) -> list[str]:
        key = json.dumps(before, sort_keys=True)
        if key not in names:
            body = {**before, "metadata": {"name": f"change-{next(numbers)}"}}
            made: Any = runs.create_namespaced_custom_object(**API, namespace=NAMESPACE, body=body, _request_timeout=10)
            names[key] = made["metadata"]
        meta = names[key]
        wanted = {**after, "metadata": {"name": meta["name"], "resourceVersion": meta["resourceVersion"]}}
        try:
            runs.replace_namespaced_custom_object(
                **API,
                namespace=NAMESPACE,
                name=meta["name"],
                body=wanted,
                dry_run="All",
                field_validation="Strict",
                _request_timeout=10,
            )
        except client.ApiException as error:
            return _causes(error)
        return []

    return ask


def _causes(error: client.ApiException) -> list[str]:
    status = json.loads(error.body or "{}")
    causes = status.get("details", {}).get("causes") or [{"message": status["message"]}]
    return [f"{cause.get('field', '')}: {cause['message']}" for cause in causes]


@pytest.fixture(scope="session")
def sample() -> Callable[..., Body]:
    """A sample by name, with changes by dotted path; a value of None removes the field."""

    def load(name: str, changes: Mapping[str, Any] | None = None) -> Body:
        body: Body = yaml.safe_load((SAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
        for path, value in (changes or {}).items():
            _put(body, path.split("."), value)
        return body

    return load


def _put(body: Body, path: list[str], value: Any) -> None:
    for step in path[:-1]:
        body = body.setdefault(step, {})
    if value is None:
        body.pop(path[-1], None)
    else:
        body[path[-1]] = copy.deepcopy(value)


@pytest.fixture(scope="session")
def schema() -> Body:
    """The OpenAPI schema of a TrainingRun."""
    crd = yaml.safe_load(CRD.read_text(encoding="utf-8"))
    return dict(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
