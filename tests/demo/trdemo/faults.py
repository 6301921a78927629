"""Inject faults on the test cluster: end processes, use up memory, delete pods, cut the network, stop daemons.

Invariant: a fault injected by a `with` statement is repaired when the block ends, also after an error.
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
from trcluster.command import CommandError
from trcluster.layout import KUBELET_SERVER_IP
from trcluster.node import enter
from trcluster.waiting import until
from trdemo.dropped_packets import dropped, network_of
from trdemo.install import SYSTEM_NAMESPACE
from trdemo.installation import Installation, Object

OPERATOR = "app.kubernetes.io/name=trainingrun-operator"
FILL_SCRATCH = "import os; os.posix_fallocate(os.open('/shared/filler', os.O_WRONLY | os.O_CREAT), 0, {size})"
KUBELET_PORT = "10250"  # its own server, for logs and exec
ALLOCATE_FOREVER = "held = []\nwhile True: held.append(b'x' * (1 << 24))"


class Faults:
    """Injects faults into the runs of one namespace, and waits for the effects."""

    def __init__(self, installation: Installation, cluster: Cluster, namespace: str) -> None:
        self.installation, self.cluster, self.namespace = installation, cluster, namespace
        self._kubectl = installation.target.kubectl

    def pod(self, name: str, stage: str, *, attempt: int = 1, seconds: float = 60) -> Object:
        """Wait for the pod of an attempt and return it."""
        selector = f"trainingrun.dev/run={name},trainingrun.dev/stage={stage},trainingrun.dev/attempt={attempt}"

        def look() -> list[Object]:
            return list(self._kubectl.get("pods", namespace=self.namespace, selector=selector)["items"])

        what = f"the pod of {name}-{stage}-{attempt}"
        return until(look, what=what, seconds=seconds, not_yet=(CommandError,))[0]

    def process(self, pod: Object, container: str, *, seconds: float = 60) -> int:
        """Wait until a container runs; returns the host's pid of its first process."""

        def container_id() -> str:
            found = _container(self._reread(pod), container)
            return str(found["containerID"]).removeprefix("containerd://") if "running" in found["state"] else ""

        what = f"container {container} of pod {pod['metadata']['name']} to run"
        found = until(
            container_id, what=what, seconds=seconds, not_yet=(CommandError,), seen=lambda: self._reread(pod)["status"]
        )
        return containers.main_process(self.cluster.layout, found)

    def at_work(self, pod: Object, container: str) -> int:
        """Wait until the agent has written the trainer's spec.json, so that both work; returns a pid like `process`."""
        pid = self.process(pod, container)
        spec = Path(f"/proc/{pid}/root/shared/spec.json")
        until(spec.exists, seconds=240, what=f"spec.json in pod {pod['metadata']['name']}")
        return pid

    def kill(self, pod: Object, container: str) -> None:
        """Send SIGKILL to a container's first process, as the kernel or an administrator does."""
        os.kill(self.process(pod, container), signal.SIGKILL)

    def freeze(self, pod: Object, container: str) -> None:
        """Send SIGSTOP to a container's first process: it stays alive but does nothing."""
        os.kill(self.process(pod, container), signal.SIGSTOP)

    def delete_pod(self, pod: Object, *arguments: str) -> None:
        """Delete a pod without waiting for its end."""
        self._kubectl("delete", "pod", pod["metadata"]["name"], "-n", self.namespace, "--wait=false", *arguments)

    def evict(self, pod: Object) -> None:
        """Evict a pod through the API, as `kubectl drain` does."""
        meta = {"name": pod["metadata"]["name"], "namespace": self.namespace}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
        path = f"/api/v1/namespaces/{self.namespace}/pods/{meta['name']}/eviction"
        self._kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))

    def exhaust_memory(self, pod: Object, container: str) -> int:
        """Start a process in a container that allocates memory until the kernel kills it; returns its exit code."""
        return self._python(pod, container, ALLOCATE_FOREVER).returncode

    def fill_scratch(self, pod: Object, container: str, size: int) -> None:
        """Write a file of this many bytes to the scratch space of a pod, which may be more than its limit."""
        self._python(pod, container, FILL_SCRATCH.format(size=size)).check_returncode()

    def operator(self) -> Object:
        """The operator's pod."""
        (pod,) = self._kubectl.get("pods", namespace=SYSTEM_NAMESPACE, selector=OPERATOR)["items"]
        return dict(pod)

    def operator_restarts(self) -> str:
        """Describe how often the container of the operator was started again, and how it last ended."""
        status = _container(self.operator(), "operator")
        return f"{status['restartCount']} restarts, last end: {status.get('lastState', {}).get('terminated', 'none')}"

    def kill_operator(self) -> str:
        """Kill the operator with SIGKILL; returns its container id, for `operator_is_back`."""
        pod = self.operator()
        self.kill(pod, "operator")
        return str(_container(pod, "operator")["containerID"])

    def operator_is_back(self, killed: str, *, seconds: float = 180) -> None:
        """Wait until the kubelet has replaced the killed container and the operator is ready."""

        def back() -> bool:
            now = _container(self.operator(), "operator")
            return bool(now["ready"] and now["containerID"] != killed)

        until(back, what="the operator to be ready again", seconds=seconds, not_yet=(CommandError, ValueError))

    @contextmanager
    def agent_unreachable(self, pod: Object) -> Iterator[None]:
        """Drop packets from the operator to a running pod, as a NetworkPolicy does."""
        self.process(pod, "agent")
        address = self._reread(pod)["status"]["podIP"]
        with (
            network_of(self.process(self.operator(), "operator")) as network,
            dropped(network, "OUTPUT", "-d", address),
        ):
            yield

    @contextmanager
    def storage_unreachable(self, pod: Object) -> Iterator[None]:
        """Drop packets from a running pod to the S3 server."""
        port = str(self.cluster.layout.ports.s3)
        with (
            network_of(self.process(pod, "agent")) as network,
            dropped(network, "OUTPUT", "-p", "tcp", "--dport", port),
        ):
            yield

    @contextmanager
    def node_unreachable(self) -> Iterator[None]:
        """Drop packets between the kubelet and the API server, both ways; containers go on, the node's lease ends."""
        node, port = enter(self.cluster.layout), str(self.cluster.layout.ports.apiserver)
        with (
            dropped(node, "INPUT", "-d", KUBELET_SERVER_IP, "-p", "tcp", "--dport", port),
            dropped(node, "INPUT", "-s", KUBELET_SERVER_IP, "-p", "tcp", "--sport", port),
            dropped(node, "INPUT", "-p", "tcp", "--dport", KUBELET_PORT),
        ):
            yield

    @contextmanager
    def service_down(self, name: str, action: str = "kill") -> Iterator[None]:
        """Kill, stop or pause a daemon of the node for the duration of the block."""
        self.cluster.service(action, name)
        try:
            yield
        finally:
            self.cluster.service("resume" if action == "pause" else "start", name)

    def delete_job(self, pod: Object) -> None:
        """Delete the Job of a pod, and with it the pod, without waiting for its end."""
        name = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        self._kubectl("delete", "job", name, "-n", self.namespace, "--wait=false")

    def api_server_is_back(self) -> None:
        """Wait until the API server answers."""

        def ready() -> bool:
            return self._kubectl("get", "--raw", "/readyz", timeout=10) == "ok"

        until(ready, what="the API server to answer", seconds=120, not_yet=(CommandError,))

    def wait_until_gone(self, uid: str, *, seconds: float = 90) -> None:
        """Wait until the cluster holds no object of a deleted run any more."""
        selector, kinds = f"trainingrun.dev/run-uid={uid}", "jobs,pods,configmaps,services,deployments"

        def left() -> list[str]:
            items = self._kubectl.get(kinds, namespace=self.namespace, selector=selector)["items"]
            return [f"{item['kind']}/{item['metadata']['name']}" for item in items]

        until(lambda: not left(), what=f"the children of the deleted run {uid} to go", seconds=seconds, seen=left)

    def wait_until_none(self, kind: str, name: str, *, seconds: float = 90) -> list[str]:
        """Wait until a run has no object of a kind any more; returns the names of those that are left after all."""

        def left() -> list[str]:
            found = self._kubectl.get(kind, namespace=self.namespace, selector=f"trainingrun.dev/run={name}")
            return [str(item["metadata"]["name"]) for item in found["items"]]

        until(lambda: not left(), what=f"the {kind} of {name} to go", seconds=seconds, seen=left)
        return left()

    def diagnostics(self, name: str) -> str:
        """Collect a run's status, Jobs, pods and the ends of all logs, for the message of a failed assertion."""
        parts = []
        for command in (
            ["get", "trainingrun", name, "-o", "yaml"],
            ["get", "jobs,pods", "-l", f"trainingrun.dev/run={name}", "-o", "wide"],
            ["logs", "-l", f"trainingrun.dev/run={name}", "--all-containers", "--prefix", "--tail=25"],
            ["get", "pods", "-n", SYSTEM_NAMESPACE, "-o", "jsonpath={range .items[*]}{.status.containerStatuses}{end}"],
            ["logs", "-n", SYSTEM_NAMESPACE, "-l", OPERATOR, "--tail=40"],
        ):
            with suppress(ClusterError):
                parts.append(self._kubectl("-n", self.namespace, *command))
        return "\n".join(parts)

    def _python(self, pod: Object, container: str, program: str) -> subprocess.CompletedProcess[bytes]:
        """Run a Python program in a container."""
        argv = [self._kubectl.binary, "--kubeconfig", self._kubectl.kubeconfig, "-n", self.namespace, "exec"]
        argv += [pod["metadata"]["name"], "-c", container, "--", "python3", "-c", program]
        return subprocess.run(argv, capture_output=True, timeout=60, check=False)

    def _reread(self, pod: Object) -> Object:
        meta = pod["metadata"]
        return self._kubectl.get("pod", meta["name"], namespace=meta["namespace"])


def _container(pod: Object, name: str) -> Object:
    """Status of a container; its state is empty before the kubelet reports one."""
    statuses = pod.get("status", {}).get("containerStatuses", ())
    return next((dict(status) for status in statuses if status["name"] == name), {"state": {}, "ready": False})
