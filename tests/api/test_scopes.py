"""Operators of several releases on a real API server, as processes with their accounts' rights.

Namespaces and rights come and go; the audit log says which operator wrote what. No controller runs here: the tests do
what the namespace controller and the kubelet do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from trainingrun.api.names import CLUSTER_LEASE, LEASE
from trcluster import Cluster, current
from trcluster.waiting import until
from trdemo.shell import Kubectl
from trfakes.fake_cluster import verdict
from trfakes.manual_node import ManualNode
from trfakes.operator_process import CHART, PATIENCE, OperatorProcess, helm

pytestmark = [
    pytest.mark.api,
    pytest.mark.skipif(current.wanted(), reason="deletes namespaces and the CustomResourceDefinition"),
]
ROOT = Path(__file__).resolve().parents[2]
CRD = ROOT / "manifests" / "crd"
TEAM, PLATFORM = "scopes-team", "scopes-platform"  # where operators are installed
OURS, THEIRS = "trainingrun-operator-team", "trainingrun-operator-platform"
NUMBERS = count()
# A tenth of the waits of the image, in the same order.
QUICK = """
from trainingrun.engine import claims, cluster_place, lease, place
lease.LEASE_SECONDS, lease.WRITE_SECONDS, lease.RENEW_SECONDS = 4, 3.0, 1.0
place.TRY_AGAIN_SECONDS, place.SETTLE_SECONDS = 1.0, 2.0
claims.WRITE_SECONDS = 1.6
cluster_place.READ_SECONDS, cluster_place.TAKE_OVER_SECONDS = 0.5, 0.2
"""


@dataclass
class Site:
    """A cluster with namespaces, and the releases on it."""

    kubectl: Kubectl
    folder: Path
    audit_log: Path
    vision: str  # two namespaces with runs
    robots: str
    releases: dict[str, str] = field(default_factory=dict)
    operators: list[OperatorProcess] = field(default_factory=list)

    def namespace(self, name: str) -> None:
        """Create a namespace with the account that the API server wants for pods."""
        self.kubectl.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}},
        )

    def install(self, release: str, namespace: str, **values: Any) -> OperatorProcess:
        """`helm install`, and its operator."""
        self.helm("install", release, namespace, **values)
        self.releases[release] = namespace
        operator = OperatorProcess(self.kubectl, self.folder, release=release, namespace=namespace, settings=QUICK)
        self.operators.append(operator)
        return operator

    def helm(self, verb: str, release: str, namespace: str, **values: Any) -> None:
        """Install or upgrade a release without the objects that all releases share."""
        chosen = {"crds": {"enabled": False}, "userRoles": {"enabled": False}, **values}
        options = [option for key, value in chosen.items() for option in ("--set-json", f"{key}={json.dumps(value)}")]
        helm(self.kubectl, verb, release, str(CHART), "--namespace", namespace, *options)

    def create(self, namespace: str, name: str = "tire", **spec: Any) -> None:
        """Create a run."""
        body = yaml.safe_load((ROOT / "manifests" / "samples" / "minimal.yaml").read_text())
        body["metadata"] = {"name": name, "namespace": namespace}
        body["spec"] = {**body["spec"], **spec}
        self.kubectl.apply(body)

    def status(self, namespace: str, name: str = "tire") -> dict[str, Any]:
        """Status of a run."""
        return dict(self.kubectl.get("trainingrun", name, namespace=namespace).get("status") or {})

    def accepted(self, namespace: str, name: str = "tire") -> str:
        """Reason of the run's condition Accepted."""
        conditions = self.status(namespace, name).get("conditions") or []
        return str(next((c["reason"] for c in conditions if c["type"] == "Accepted"), ""))

    def end(self, namespace: str, job: str) -> None:
        """Let the pod of a Job end well."""
        node = ManualNode(self.kubectl, namespace, self.folder, agent_port=0)
        node.make_pod(job)
        node.report(job, verdict=verdict(job.split("-")[1]))

    def until_job(self, namespace: str, job: str) -> None:
        """Wait for a Job."""
        self.until(
            f"Job {namespace}/{job}",
            lambda: bool(self.kubectl("get", "job", job, "-n", namespace, "--ignore-not-found")),
        )

    def until(self, what: str, found: Callable[[], bool]) -> None:
        """Wait; a failure shows the ends of the operators' logs."""
        until(
            found, what=what, seconds=PATIENCE, seen=lambda: [each.log.read_text()[-3000:] for each in self.operators]
        )

    def says(self, operator: OperatorProcess, *texts: str) -> None:
        """Wait until /readyz has all these texts."""
        self.until(f"{texts}", lambda: all(text in operator.readiness() for text in texts))

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace as its controller does: the content, then the finalizer."""
        self.kubectl("delete", "namespace", name, "--wait=false")
        kinds = "rolebindings,roles,leases,trainingruns,jobs,configmaps,serviceaccounts"
        self.kubectl("delete", kinds, "--all", "-n", name, "--wait=false")
        self.kubectl("delete", "pods", "--all", "-n", name, "--force", "--grace-period=0")
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {"finalizers": []}}
        self.kubectl("replace", "--raw", f"/api/v1/namespaces/{name}/finalize", "-f", "-", stdin=json.dumps(body))

    def writers(self, namespace: str) -> list[str]:
        """Accounts that wrote the status of a run in the namespace, in this order, without repetitions."""
        writers: list[str] = []
        for line in self.audit_log.read_text().splitlines():
            event = json.loads(line)
            at = event.get("objectRef") or {}
            where = (at.get("resource"), at.get("subresource"), at.get("namespace"))
            wrote = where == ("trainingruns", "status", namespace) and event["verb"] == "patch"
            if wrote and event["responseStatus"]["code"] == 200 and writers[-1:] != [event["user"]["username"]]:
                writers.append(event["user"]["username"])
        return writers


@pytest.fixture
def site(kubectl: Kubectl, api_cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    number = next(NUMBERS)
    made = Site(kubectl, tmp_path, api_cluster.layout.audit_log, f"scopes-vision-{number}", f"scopes-robots-{number}")
    kubectl("delete", "lease", CLUSTER_LEASE, "-n", "kube-system", "--ignore-not-found")  # of operators of other tests
    for name in (TEAM, PLATFORM, made.vision, made.robots):
        made.namespace(name)
    yield made
    for operator in made.operators:
        operator.kill()
    for release, namespace in made.releases.items():
        helm(kubectl, "uninstall", release, "--namespace", namespace)
    for name in (made.vision, made.robots):
        made.delete_namespace(name)


def test_a_role_taken_away_and_given_back_concerns_its_namespace_only(site: Site) -> None:
    operator = site.install(OURS, TEAM, watchNamespaces=[site.vision, site.robots])
    for namespace in (site.vision, site.robots):
        site.create(namespace)
        site.until_job(namespace, "tire-prep-1")
    bindings = site.kubectl("get", "rolebindings", "-n", site.robots, "-o", "yaml")
    site.kubectl("delete", "rolebindings", "--all", "-n", site.robots)
    site.says(operator, "200 ok", f"namespace {site.robots} is not served", "cannot")
    before = site.status(site.robots)
    site.end(site.robots, "tire-prep-1")
    site.end(site.vision, "tire-prep-1")
    site.until_job(site.vision, "tire-train-1")
    assert site.status(site.robots) == before
    assert operator.process.poll() is None
    site.kubectl("apply", "-f", "-", stdin=bindings)
    site.until_job(site.robots, "tire-train-1")
    assert [each["ended"] for each in site.status(site.robots)["attempts"] if each["stage"] == "prep"] == [1]
    assert operator.readiness() == "200 ok\n"


def test_a_namespace_deleted_and_created_again_is_served_again(site: Site) -> None:
    values = {"watchNamespaces": [site.vision, site.robots]}
    operator = site.install(OURS, TEAM, **values)
    for namespace in (site.vision, site.robots):
        site.create(namespace)
        site.until_job(namespace, "tire-prep-1")
    site.delete_namespace(site.robots)
    site.says(operator, "200 ok", f"namespace {site.robots} is not served")
    site.end(site.vision, "tire-prep-1")
    site.until_job(site.vision, "tire-train-1")
    site.namespace(site.robots)
    site.helm("upgrade", OURS, TEAM, **values)
    site.create(site.robots)
    site.until_job(site.robots, "tire-prep-1")
    assert operator.process.poll() is None
    assert operator.readiness() == "200 ok\n"


def test_the_stricter_installs_policy_holds_in_its_namespace_and_no_status_flaps(site: Site) -> None:
    """Beside an operator for the whole cluster, which has served the namespace before."""
    platform = site.install(THEIRS, PLATFORM, policy={**POLICY, "images": ["lenient/*"]})
    site.create(site.vision, "before", train={"steps": 100, "gpus": 0, "image": "lenient/trainer:1"})
    site.until_job(site.vision, "before-prep-1")
    team = site.install(OURS, TEAM, watchNamespaces=[site.vision])
    site.says(platform, "200 ok", f"namespace {site.vision} is left to operator {TEAM}/{OURS}-1")
    site.says(team, "200 ok")
    for number in range(5):
        for namespace in (site.vision, site.robots):
            site.create(namespace, f"run-{number}", train={"steps": 100, "gpus": 0, "image": "lenient/trainer:1"})
    for number in range(5):
        site.until("the verdict of the policy", lambda n=number: site.accepted(site.vision, f"run-{n}") != "")  # type: ignore[misc]
        site.until_job(site.robots, f"run-{number}-prep-1")
        assert site.accepted(site.vision, f"run-{number}") == "ForbiddenByPolicy"
    site.end(site.vision, "before-prep-1")
    site.until_job(site.vision, "before-train-1")
    assert site.writers(site.vision) == [platform.account, team.account]
    assert site.writers(site.robots) == [platform.account]
    team.stop()
    site.create(site.vision, "later", train={"steps": 100, "gpus": 0, "image": "lenient/trainer:1"})
    site.until_job(site.vision, "later-prep-1")
    site.until("its status", lambda: len(site.writers(site.vision)) > 2)
    assert site.writers(site.vision) == [platform.account, team.account, platform.account]


def test_operators_whose_lists_overlap_share_no_run(site: Site) -> None:
    """Helm refuses this, unless it is told to take over the objects of another release."""
    first = site.install(OURS, TEAM, watchNamespaces=[site.vision])
    site.says(first, "200 ok")
    lease = site.kubectl.get("lease", LEASE, namespace=site.vision)["metadata"]["annotations"]
    with pytest.raises(Exception, match=f'Lease "{LEASE}" in namespace "{site.vision}" exists'):
        site.helm("install", THEIRS, PLATFORM, watchNamespaces=[site.vision, site.robots])
    assert lease["meta.helm.sh/release-name"] == OURS


def test_the_custom_resource_may_go_and_come_back(site: Site) -> None:
    """The process ends once, because kopf looks for the resource only at its start; the next one waits."""
    operator = site.install(OURS, TEAM, watchNamespaces=[site.vision])
    site.create(site.vision)
    site.until_job(site.vision, "tire-prep-1")
    site.kubectl("delete", "-f", str(CRD), "--wait=true")
    site.until("the end of the process", lambda: operator.process.poll() is not None)
    operator.start()
    site.says(operator, "503 waiting for the custom resource trainingruns.trainingrun.dev to be served")
    site.kubectl("apply", "--server-side", "-f", str(CRD))
    site.says(operator, "200 ok")
    site.create(site.vision, "again")
    site.until_job(site.vision, "again-prep-1")


POLICY = {"images": [], "secretNames": ["trainingrun-*"], "endpoints": ["*"], "tolerations": ["*"]}
