"""Break things around runs on a cluster of our own: processes, memory, pods, the network, daemons, the storage server.

Invariant: what is broken for a while is mended when its `with` ends, whatever happened inside.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trcluster import Cluster, ClusterError, containers
from trcluster.command import CommandError, run
from trcluster.waiting import until
from trdemo.install import SYSTEM_NAMESPACE
from trdemo.scene import Object, Scene

OPERATOR = "app.kubernetes.io/name=trainingrun-operator"
EAT = "held = []\nwhile True: held.append(b'x' * (1 << 24))"


class Faults:
    """Faults for the runs of one namespace."""

    def __init__(self, scene: Scene, cluster: Cluster, namespace: str) -> None:
        self.scene, self.cluster, self.namespace = scene, cluster, namespace
        self._kubectl = scene.place.kubectl

    def pod(self, name: str, stage: str, *, attempt: int = 1, seconds: float = 60) -> Object:
        """The pod of an attempt, once it is there."""
        selector = f"trainingrun.dev/run={name},trainingrun.dev/stage={stage},trainingrun.dev/attempt={attempt}"

        def look() -> list[Object]:
            return list(self._kubectl.get("pods", namespace=self.namespace, selector=selector)["items"])

        what = f"the pod of {name}-{stage}-{attempt}"
        return until(look, what=what, seconds=seconds, not_yet=(CommandError,))[0]

    def process(self, pod: Object, container: str, *, seconds: float = 60) -> int:
        """Host pid of a container's first process, once it runs."""

        def container_id() -> str:
            found = _container(self._again(pod), container)
            return str(found["containerID"]).removeprefix("containerd://") if "running" in found["state"] else ""

        what = f"container {container} of pod {pod['metadata']['name']} to run"
        found = until(
            container_id, what=what, seconds=seconds, not_yet=(CommandError,), seen=lambda: self._again(pod)["status"]
        )
        return containers.main_process(self.cluster.layout, found)

    def at_work(self, pod: Object, container: str) -> int:
        """Host pid of a container's first process, once it was given its work or gave it."""
        pid = self.process(pod, container)
        spec = Path(f"/proc/{pid}/root/shared/spec.json")
        until(spec.exists, seconds=240, what=f"spec.json in pod {pod['metadata']['name']}")
        return pid

    def kill(self, pod: Object, container: str) -> None:
        """SIGKILL, as the kernel or an administrator sends it."""
        os.kill(self.process(pod, container), signal.SIGKILL)

    def freeze(self, pod: Object, container: str) -> None:
        """SIGSTOP: it lives, and does nothing."""
        os.kill(self.process(pod, container), signal.SIGSTOP)

    def delete_pod(self, pod: Object, *arguments: str) -> None:
        """Delete a pod without waiting for its end."""
        self._kubectl("delete", "pod", pod["metadata"]["name"], "-n", self.namespace, "--wait=false", *arguments)

    def evict(self, pod: Object) -> None:
        """What `kubectl drain` does to a pod."""
        meta = {"name": pod["metadata"]["name"], "namespace": self.namespace}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
        path = f"/api/v1/namespaces/{self.namespace}/pods/{meta['name']}/eviction"
        self._kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))

    def eat_memory(self, pod: Object, container: str) -> int:
        """A child of the container takes memory until the kernel ends a process; returns the child's exit code."""
        argv = [self._kubectl.binary, "--kubeconfig", self._kubectl.kubeconfig, "-n", self.namespace, "exec"]
        argv += [pod["metadata"]["name"], "-c", container, "--", "python3", "-c", EAT]
        return subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode

    def operator(self) -> Object:
        """The operator's pod."""
        (pod,) = self._kubectl.get("pods", namespace=SYSTEM_NAMESPACE, selector=OPERATOR)["items"]
        return dict(pod)

    def kill_operator(self) -> str:
        """SIGKILL to the operator; returns what `operator_is_back` wants to know."""
        pod = self.operator()
        self.kill(pod, "operator")
        return str(_container(pod, "operator")["containerID"])

    def operator_is_back(self, killed: str) -> None:
        """Wait until the kubelet has started another one and it is ready."""

        def back() -> bool:
            now = _container(self.operator(), "operator")
            return bool(now["ready"] and now["containerID"] != killed)

        until(back, what="the operator to be ready again", seconds=180, not_yet=(CommandError, ValueError))

    @contextmanager
    def agent_unreachable(self, pod: Object) -> Iterator[None]:
        """Drop what the operator sends to a running pod, as a NetworkPolicy does."""
        self.process(pod, "agent")
        prefix = containers.network_of(self.process(self.operator(), "operator"))
        rule = ["OUTPUT", "-d", self._again(pod)["status"]["podIP"], "-j", "DROP"]
        run([*prefix, "iptables", "-w", "-I", *rule], timeout=60)
        try:
            yield
        finally:
            run([*prefix, "iptables", "-w", "-D", *rule], timeout=60)

    @contextmanager
    def service_down(self, name: str, action: str = "kill") -> Iterator[None]:
        """A daemon of the node is killed, stopped or paused, and runs again afterwards."""
        self.cluster.service(action, name)
        try:
            yield
        finally:
            self.cluster.service("resume" if action == "pause" else "start", name)

    def api_server_is_back(self) -> None:
        """Wait until the API server answers."""

        def ready() -> bool:
            return self._kubectl("get", "--raw", "/readyz", timeout=10) == "ok"

        until(ready, what="the API server to answer", seconds=120, not_yet=(CommandError,))

    def gone(self, uid: str, *, seconds: float = 90) -> None:
        """Wait until nothing of a deleted run is left in the cluster."""
        selector, kinds = f"trainingrun.dev/run-uid={uid}", "jobs,pods,configmaps,services,deployments"

        def left() -> list[str]:
            items = self._kubectl.get(kinds, namespace=self.namespace, selector=selector)["items"]
            return [f"{item['kind']}/{item['metadata']['name']}" for item in items]

        until(lambda: not left(), what=f"the children of the deleted run {uid} to go", seconds=seconds, seen=left)

    def story(self, name: str) -> str:
        """Status of a run, its Jobs and pods, and the last lines of every log: for an assertion that failed."""
        parts = []
        for command in (
            ["get", "trainingrun", name, "-o", "yaml"],
            ["get", "jobs,pods", "-l", f"trainingrun.dev/run={name}", "-o", "wide"],
            ["logs", "-l", f"trainingrun.dev/run={name}", "--all-containers", "--prefix", "--tail=25"],
            ["logs", "-n", SYSTEM_NAMESPACE, "-l", OPERATOR, "--tail=40"],
        ):
            with suppress(ClusterError):
                parts.append(self._kubectl("-n", self.namespace, *command))
        return "\n".join(parts)

    def _again(self, pod: Object) -> Object:
        meta = pod["metadata"]
        return self._kubectl.get("pod", meta["name"], namespace=meta["namespace"])


def _container(pod: Object, name: str) -> Object:
    """Status of a container; an empty state before the kubelet has told of it."""
    statuses = pod.get("status", {}).get("containerStatuses", ())
    return next((dict(status) for status in statuses if status["name"] == name), {"state": {}, "ready": False})
