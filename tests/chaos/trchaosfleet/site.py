"""A cluster of tier fleet whose nodes are ours, with the chart installed for the namespaces of each lane."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trchaosfleet.kube import Kube
from trcluster import Cluster
from trcluster.build import ensure
from trcluster.command import CommandError
from trcluster.waiting import until
from trdemo.shell import Kubectl
from trfakes.operator_process import CHART, helm

ROOT = Path(__file__).resolve().parents[3]
CRD = ROOT / "manifests" / "crd" / "trainingruns.trainingrun.dev.yaml"
SYSTEM = "chaos-system"
NODES = 4


@dataclass
class Lane:
    """A release with its namespaces, for one schedule at a time."""

    release: str
    namespaces: tuple[str, ...]
    environment: dict[str, str]
    kubectl: Kubectl

    def token(self) -> str:
        """A token of the release's account."""
        return self.kubectl("create", "token", self.release, "-n", SYSTEM, "--duration=2h").strip()


@contextmanager
def site(name: str) -> Iterator[tuple[Cluster, Kubectl]]:
    """A cluster without kwok, which plays pods better than kubelets do: the schedules play them."""
    with Cluster(name, tier="fleet", fake_nodes=NODES) as cluster:
        cluster.service("stop", "kwok")
        kubectl = Kubectl(str(ensure(("kubectl",), echo=print)["kubectl"]), kubeconfig=str(cluster.kubeconfig))
        serve_runs(kubectl)
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
        yield cluster, kubectl


def serve_runs(kubectl: Kubectl) -> None:
    """Install the CRD, and wait until the API server serves TrainingRuns."""
    kubectl("apply", "--server-side", "--filename", str(CRD))
    kubectl.wait("--for=condition=Established", "--filename", str(CRD), seconds=120)
    served = ("get", "trainingruns.trainingrun.dev", "--all-namespaces", "--output=name")
    until(lambda: kubectl(*served) == "", what="TrainingRuns to be served", seconds=120, not_yet=(CommandError,))


def install(kubectl: Kubectl, number: int) -> Lane:
    """Install the chart for two new namespaces."""
    namespaces = (f"chaos-{number}-a", f"chaos-{number}-b")
    kubectl.apply(*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in namespaces))
    for namespace in namespaces:
        kubectl.wait("--for=create", "serviceaccount/default", "-n", namespace, seconds=60)
    release = f"trainingrun-operator-{number}"
    values = {"crds": {"enabled": False}, "userRoles": {"enabled": False}, "watchNamespaces": list(namespaces)}
    options = [option for key, value in values.items() for option in ("--set-json", f"{key}={json.dumps(value)}")]
    helm(kubectl, "install", release, str(CHART), "--namespace", SYSTEM, *options)
    deployment = kubectl.get("deployment", release, namespace=SYSTEM)
    kubectl("scale", "deployment", release, "-n", SYSTEM, "--replicas=0")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {
        **{key: os.environ[key] for key in ("PATH", "PYTHONPATH")},
        **{entry["name"]: entry["value"] for entry in container["env"] if entry.get("value")},
        "TRAININGRUN_POD_NAMESPACE": SYSTEM,
        "TRAININGRUN_RELEASE": release,
        "TRAININGRUN_LOST_POD_SECONDS": "4",
    }
    return Lane(release, namespaces, environment, kubectl)


async def clear(kube: Kube, lane: Lane, *, seconds: float) -> list[str]:
    """Delete all runs of a lane; return what the garbage collector has left of them after that time."""
    for namespace in lane.namespaces:
        for run in await kube.list("trainingruns", namespace):
            await kube.delete("trainingruns", run["metadata"]["name"], namespace)
    left: list[str] = []
    for _ in range(int(seconds * 2)):
        left = [
            f"{namespace}/{plural}/{body['metadata']['name']}"
            for namespace in lane.namespaces
            for plural in ("trainingruns", "jobs", "pods", "deployments", "services", "configmaps")
            for body in await kube.list(plural, namespace)
            if body["metadata"]["name"] != "kube-root-ca.crt"
        ]
        if not left:
            break
        await asyncio.sleep(0.5)
    return left
