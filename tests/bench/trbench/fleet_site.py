"""A cluster of tier fleet for load: kwok pods work for a while and end with verdicts; the operator is a process."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainingrun.api.names import LABEL_STAGE, Stage
from trchaosfleet.site import serve_runs
from trcluster import Cluster
from trcluster.waiting import until
from trdemo.shell import Kubectl
from trfakes.fake_cluster import verdict
from trfakes.operator_process import CHART, OperatorProcess, helm

RELEASE, SYSTEM, CLUSTER = "trainingrun-operator", "bench-system", "bench-fleet"
NAMESPACES: Final = tuple(f"bench-{number}" for number in range(10))
NODES: Final = 10
_POLICY_API: Final = "admissionregistration.k8s.io/v1beta1"
_PODS: Final = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}


@dataclass
class Site:
    """The cluster, and a folder for files of the benchmark."""

    cluster: Cluster
    kubectl: Kubectl
    folder: Path

    def pids(self) -> dict[str, int]:
        """Processes of the cluster by name."""
        return {each.name: each.pid for each in self.cluster.status() if each.pid is not None}

    def start_operator(self) -> OperatorProcess:
        """Start the operator with the rights and settings of the chart, and wait until it serves."""
        operator = OperatorProcess(self.kubectl, self.folder, release=RELEASE, namespace=SYSTEM)
        until(lambda: operator.readiness().startswith("200"), what="the operator to be ready", seconds=120)
        return operator


@contextmanager
def site(*, work_seconds: float) -> Iterator[Site]:
    """The cluster with the chart installed; each pod of a stage works for so long and succeeds."""
    with (
        Cluster(CLUSTER, tier="fleet", fake_nodes=NODES, audit=True) as cluster,
        tempfile.TemporaryDirectory(prefix="trainingrun-bench-") as folder,
    ):
        kubectl = Kubectl(cluster.layout.binary("kubectl"), kubeconfig=str(cluster.kubeconfig))
        serve_runs(kubectl)
        spaces = ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in (SYSTEM, *NAMESPACES))
        kubectl.apply(*spaces)
        for namespace in NAMESPACES:
            kubectl.wait("--for=create", "serviceaccount/default", "-n", namespace, seconds=60)
        kubectl.apply(*(part for stage in Stage for part in _ends(stage, seconds=work_seconds)))
        helm(kubectl, "install", RELEASE, str(CHART), "--namespace", SYSTEM, "--set-json", 'crds={"enabled":false}')
        kubectl("scale", "deployment", RELEASE, "-n", SYSTEM, "--replicas=0")
        yield Site(cluster, kubectl, Path(folder))


def _ends(stage: Stage, *, seconds: float) -> list[dict[str, object]]:
    """A policy that tells kwok how pods of a stage end."""
    annotations = {
        "fleet.trainingrun.dev/duration": f"{round(seconds * 1000)}ms",
        "fleet.trainingrun.dev/termination-message": json.dumps(verdict(stage.value)),
    }
    added = ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in annotations.items())
    expression = f"Object{{metadata: Object.metadata{{annotations: {{{added}}}}}}}"
    spec = {
        "matchConstraints": {
            "resourceRules": [_PODS],
            "objectSelector": {"matchLabels": {LABEL_STAGE: stage.value}},
        },
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
    }
    meta = {"name": f"bench-{stage.value}"}
    policy: dict[str, object] = {
        "apiVersion": _POLICY_API,
        "kind": "MutatingAdmissionPolicy",
        "metadata": meta,
        "spec": spec,
    }
    binding: dict[str, object] = {
        "apiVersion": _POLICY_API,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": meta,
        "spec": {"policyName": meta["name"]},
    }
    return [policy, binding]
