"""The operator's rights on a real API server, installed by Helm: it has those that it uses, and no others.

The operator runs as a process with its ServiceAccount's token; pods are played. The API server's audit log says what
was asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from kubernetes import client, config

from trainingrun import __version__
from trainingrun.api.names import CLUSTER_LEASE, LEASE
from trcluster import Cluster, current
from trcluster.command import CommandError
from trcluster.waiting import until
from trdemo.shell import Kubectl
from trfakes.fake_cluster import verdict
from trfakes.manual_node import ManualNode
from trfakes.operator_process import CHART, PATIENCE, OperatorProcess, helm

pytestmark = [
    pytest.mark.api,
    pytest.mark.skipif(current.wanted(), reason="reads the audit log of a cluster of its own"),
]

Body = dict[str, Any]
Right = tuple[str, str, str]  # group, resource with subresource, verb

ROOT = Path(__file__).resolve().parents[2]
NAME, SYSTEM, ELSEWHERE = "trainingrun-operator", "rights-system", "rights-elsewhere"
ACCOUNT = f"system:serviceaccount:{SYSTEM}:{NAME}"
MODES = ("cluster", "namespaced")
LEASE_OF = {"cluster": ("kube-system", CLUSTER_LEASE), "namespaced": ("rights-namespaced", LEASE)}
# Instead of 20 s until it reads the log of an unreachable agent, and 15 s before it serves a new namespace.
QUICK = (
    "from trainingrun.engine import place, progress_puller;"
    "progress_puller.FALLBACK_AFTER_SECONDS = place.SETTLE_SECONDS = 1"
)
NOBODY = "127.66.6.6"  # an address where no agent listens
# TensorBoards make room for a pod that lacks CPU or memory, but have no GPU.
NO_GPU = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
EVERY_VERB = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


@dataclass
class Installed:
    """A Helm release in one mode, and functions to use it."""

    mode: str
    served: str  # the namespace with runs
    kubectl: Kubectl
    audit_log: Path
    audit_start: int
    reviews: client.AuthorizationV1Api

    @property
    def places(self) -> tuple[str, ...]:
        """Namespaces to check; the empty name is the whole cluster."""
        return SYSTEM, self.served, ELSEWHERE, ""

    def objects(self, kind: str, *where: str) -> list[Body]:
        label = f"app.kubernetes.io/instance={NAME}"
        return list(json.loads(self.kubectl("get", kind, *where, "-l", label, "-o", "json"))["items"])

    def granted(self) -> set[Right]:
        """The installed rules of all roles that are bound to the account."""
        roles = self.objects("roles", "--all-namespaces")
        roles += [
            r
            for r in self.objects("clusterroles")
            if r["metadata"]["name"] in {NAME, f"{NAME}-leases", f"{NAME}-nodes"}
        ]
        return {
            right
            for role in roles
            for rule in role["rules"]
            for right in product(rule["apiGroups"], rule["resources"], rule["verbs"])
        }

    def requests(self) -> list[Body]:
        """The account's requests since the installation, from the audit log."""
        with self.audit_log.open("rb") as log:
            log.seek(self.audit_start)
            events = [json.loads(line) for line in log if line.endswith(b"\n")]
        return [event for event in events if event["user"]["username"] == ACCOUNT]

    def may(self, verb: str, group: str, resource: str, *, namespace: str, name: str = "") -> bool:
        """Whether the account has a right, from a SubjectAccessReview, as in `kubectl auth can-i`."""
        kind, _, part = resource.partition("/")
        asked = {"verb": verb, "group": group, "resource": kind, "subresource": part, "namespace": namespace}
        asked |= {"name": name} if name else {}
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{SYSTEM}", "system:authenticated"]
        body = {"spec": {"user": ACCOUNT, "groups": groups, "resourceAttributes": asked}}
        return bool(self.reviews.create_subject_access_review(body, _request_timeout=10).status.allowed)


@pytest.fixture(scope="module", params=MODES)
def installed(request: pytest.FixtureRequest, kubectl: Kubectl, api_cluster: Cluster) -> Iterator[Installed]:
    """`helm install` in one mode, with an existing CRD. No kubelet starts the Deployment's pod; the test does."""
    served = f"rights-{request.param}"
    for name in (SYSTEM, served, ELSEWHERE):
        made = kubectl("create", "namespace", name, "--dry-run=client", "-o", "yaml")
        kubectl("apply", "--server-side", "-f", "-", stdin=made)
    account = kubectl("create", "serviceaccount", "default", "-n", served, "--dry-run=client", "-o", "yaml")
    kubectl("apply", "--server-side", "-f", "-", stdin=account)
    watched = json.dumps([served] if request.param == "namespaced" else [])
    values = ["--set-json", f"watchNamespaces={watched}", "--take-ownership"]
    if request.param == "namespaced":  # with all optional objects of the chart
        values += ["--set", "networkPolicy.enabled=true,networkPolicy.runs=true"]
    start = api_cluster.layout.audit_log.stat().st_size
    helm(kubectl, "install", NAME, str(CHART), "--namespace", SYSTEM, *values)
    reviews = client.AuthorizationV1Api(config.new_client_from_config(kubectl.kubeconfig))  # type: ignore[no-untyped-call]
    yield Installed(request.param, served, kubectl, api_cluster.layout.audit_log, start, reviews)
    helm(kubectl, "uninstall", NAME, "--namespace", SYSTEM)
    where, name = LEASE_OF[request.param]
    assert kubectl("get", "lease", name, "-n", where, "--ignore-not-found") == ""


@pytest.fixture(scope="module")
def operator(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    where, name = LEASE_OF[installed.mode]
    installed.kubectl("delete", "lease", name, "-n", where)  # the operator must create it again
    folder = tmp_path_factory.mktemp(installed.mode)
    running = OperatorProcess(installed.kubectl, folder, release=NAME, namespace=SYSTEM, settings=QUICK)
    yield running
    running.kill()


@dataclass
class Story:
    """Runs in the served namespace."""

    kubectl: Kubectl
    namespace: str
    operator: OperatorProcess

    def apply(self, name: str, **spec: Any) -> None:
        body = yaml.safe_load((ROOT / "manifests" / "samples" / "minimal.yaml").read_text())
        body["metadata"] = {"name": name, "namespace": self.namespace}
        body["spec"] |= spec
        self.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    def change(self, name: str, **spec: Any) -> None:
        patch = json.dumps({"spec": spec})
        self.kubectl("patch", "trainingrun", name, "-n", self.namespace, "--type=merge", "-p", patch)

    def there(self, kind: str, name: str) -> bool:
        return bool(self.kubectl("get", kind, name, "-n", self.namespace, "--ignore-not-found"))

    def until(self, what: str, found: Callable[[], bool]) -> None:
        until(found, what=what, seconds=PATIENCE, seen=lambda: self.operator.log.read_text()[-4000:])


@pytest.fixture(scope="module")
def asked(installed: Installed, operator: OperatorProcess, tmp_path_factory: pytest.TempPathFactory) -> list[Body]:
    """All requests of an operator that goes through every kind of event."""
    story = Story(installed.kubectl, installed.served, operator)
    node = ManualNode(installed.kubectl, installed.served, tmp_path_factory.mktemp("node"), agent_port=0)

    def until_used(*right: str) -> None:
        story.until(" ".join(right), lambda: right in used(installed.requests()))

    installed.kubectl("create", "job", "taken-prep-1", "--image=none", "-n", installed.served)
    story.apply("taken")  # another owner has the name of its first Job
    story.apply("whole", ttlSecondsAfterFinished=1)
    until_used("", "events", "list")  # its first Job has no pod, so the operator looks for the cause
    story.apply("large")  # no node has room for its pod
    node.make_pod("large-prep-1", node="", reason="Unschedulable", message=NO_GPU)
    if installed.mode == "cluster":
        until_used("", "nodes", "list")
    node.make_pod("whole-prep-1")
    node.report("whole-prep-1", ip=NOBODY)
    until_used("", "pods/log", "get")
    node.report("whole-prep-1", verdict=verdict("prep"))
    node.make_pod("whole-train-1")
    node.report("whole-train-1", ip=NOBODY)
    story.until("TensorBoard", lambda: story.there("deployment", "whole-tensorboard"))
    operator.stop()
    operator.start()
    story.change("whole", tensorboard={"enabled": False})
    story.until("the end of TensorBoard", lambda: not story.there("service", "whole-tensorboard"))
    node.report("whole-train-1", verdict=verdict("train", "userError"))
    story.until("the end of the run", lambda: not story.there("trainingrun", "whole"))
    operator.stop()
    return installed.requests()


def used(requests: list[Body]) -> set[Right]:
    """Rights that these requests for objects have used."""
    return {
        (at.get("apiGroup", ""), "/".join(filter(None, (at["resource"], at.get("subresource")))), request["verb"])
        for request in requests
        if (at := request.get("objectRef"))
    }


def test_every_request_is_allowed(asked: list[Body]) -> None:
    refused = [r["requestURI"] for r in asked if r["annotations"]["authorization.k8s.io/decision"] != "allow"]
    assert refused == []


def test_every_request_names_the_operator(asked: list[Body]) -> None:
    """In the audit log, and so in whatever looks for the cause of the API server's load."""
    assert {request["userAgent"] for request in asked} == {f"{NAME}/{__version__}"}


def test_the_operator_is_the_manager_of_what_it_writes(asked: list[Body], installed: Installed) -> None:
    """Neither the client's nor kopf's name: `kubectl get --show-managed-fields` says who wrote what."""
    written = {"create", "patch"}
    queries = [parse_qs(urlsplit(r["requestURI"]).query) for r in asked if r["verb"] in written]
    assert [query.get("fieldManager") for query in queries] == [[NAME]] * len(queries)
    text = installed.kubectl(
        "get", "trainingrun", "taken", "-n", installed.served, "-o", "json", "--show-managed-fields"
    )
    parts = {(f["manager"], f.get("subresource", "")) for f in json.loads(text)["metadata"]["managedFields"]}
    assert {part for part in parts if part[1] == "status"} == {(NAME, "status")}


def test_every_right_is_used_and_every_request_needs_one(installed: Installed, asked: list[Body]) -> None:
    assert used(asked) == installed.granted()


def test_requests_for_no_object_are_discovery(asked: list[Body]) -> None:
    """Every account may make these requests."""
    others = {(r["verb"], r["requestURI"].partition("?")[0]) for r in asked if "objectRef" not in r}
    assert {verb for verb, _ in others} <= {"get"}
    assert {path.split("/")[1] for _, path in others} <= {"api", "apis", "version"}, others


def test_requests_stay_in_the_namespaces_they_are_for(installed: Installed, asked: list[Body]) -> None:
    """In namespaced mode, requests, even lists, stay within the served namespaces."""
    objects = [request["objectRef"] for request in asked if "objectRef" in request]
    leases = {at.get("namespace", "everywhere") for at in objects if at["resource"] == "leases"}
    others = {at.get("namespace", "everywhere") for at in objects if at["resource"] != "leases"}
    assert leases == ({"kube-system", "everywhere"} if installed.mode == "cluster" else {installed.served})
    assert installed.served in others
    assert ("everywhere" in others) == (installed.mode == "cluster")
    # In cluster mode, the operator serves the runs of other tests too.
    assert others == {installed.served} or installed.mode == "cluster"


def test_rights_end_where_the_mode_says(installed: Installed) -> None:
    for group, resource, verb in sorted(installed.granted()):
        if resource == "leases":
            continue
        there = {where: installed.may(verb, group, resource, namespace=where) for where in installed.places}
        everywhere = installed.mode == "cluster"
        wanted = {SYSTEM: everywhere, installed.served: True, ELSEWHERE: everywhere, "": everywhere}
        assert there == wanted, f"{verb} {resource}"


def test_rights_on_leases_end_where_its_own_are(installed: Installed) -> None:
    """kube-system has the Leases of Kubernetes' own controllers."""
    group = "coordination.k8s.io"
    home, own = LEASE_OF[installed.mode]

    def where(verb: str, name: str) -> set[str]:
        places = (*installed.places, "kube-system")
        return {place for place in places if installed.may(verb, group, "leases", namespace=place, name=name)}

    everywhere = {*installed.places, "kube-system"} if installed.mode == "cluster" else set()
    assert where("create", "") == {home}
    assert where("get", own) == {home}
    assert where("patch", own) == {home}
    assert where("list", LEASE) == everywhere
    assert where("patch", LEASE) == everywhere | {home}
    for verb in EVERY_VERB:
        assert where(verb, "kube-controller-manager") <= ({home} if verb == "create" else set()), verb


def test_no_right_on_secrets_nor_ways_around_it(installed: Installed) -> None:
    for verb, where in product(EVERY_VERB, installed.places):
        assert not installed.may(verb, "", "secrets", namespace=where), f"{verb} in {where or 'the cluster'}"
    for resource in ("pods", "pods/exec", "pods/attach", "serviceaccounts/token", "nodes/proxy"):
        assert not installed.may("create", "", resource, namespace=installed.served), resource


def test_what_a_request_is_told_elsewhere(installed: Installed, operator: OperatorProcess) -> None:
    """Request with the account's own token."""
    own = ("--kubeconfig", str(operator.kubeconfig))
    asked = {
        "secrets": installed.served,
        "configmaps": installed.served,
        "trainingruns.trainingrun.dev": ELSEWHERE,
        "jobs.batch": ELSEWHERE,
    }
    for resource, namespace in asked.items():
        if installed.mode == "cluster" and namespace == ELSEWHERE:
            assert installed.kubectl(*own, "get", resource, "-n", namespace, "-o", "name") == ""
            continue
        with pytest.raises(CommandError) as refused:
            installed.kubectl(*own, "get", resource, "-n", namespace)
        kind, _, group = resource.partition(".")
        text = f'User "{ACCOUNT}" cannot list resource "{kind}" in API group "{group}" in the namespace "{namespace}"'
        assert text in refused.value.stderr
