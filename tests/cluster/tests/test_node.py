"""Tier node on this machine: real pods, DNS and S3; nothing is left afterwards, however the program ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trcluster import Cluster, ClusterError, Tier, process
from trcluster.node import LINK
from trcluster.paths import cache_root
from trcluster.waiting import patience, until

pytestmark = pytest.mark.node

PACKAGE = Path(__file__).resolve().parents[1]
NAME = "test-node"
UP_SECONDS = 20
DOWN_SECONDS = 5

RESTRICTED = """
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: work}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 65535, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: main
    image: trainingrun.test/probe:1
    args: %s
    resources: {limits: {memory: 64Mi, nvidia.com/gpu: %d}}
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
"""
NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: work, labels: {pod-security.kubernetes.io/enforce: restricted}}
"""


@pytest.fixture
def node() -> Iterator[Cluster]:
    cluster = Cluster(NAME, tier=Tier.NODE)
    yield cluster
    cluster.down()


def run_pod(cluster: Cluster, name: str, arguments: list[str], gpus: int = 0) -> None:
    cluster.kubectl("apply", "-f", "-", stdin=RESTRICTED % (name, json.dumps(arguments), gpus))


def wait_for(cluster: Cluster, name: str, phase: str) -> None:
    cluster.wait("-n", "work", f"--for=jsonpath={{.status.phase}}={phase}", f"pod/{name}")


def test_pods_reach_services_by_name_and_nothing_is_left(
    node: Cluster,
    host_state: Callable[[], object],
    namespaces_below: Callable[[Path], set[str]],
    processes_in: Callable[[set[str]], dict[int, str]],
) -> None:
    before = host_state()
    node.up()
    started = time.monotonic()
    node.up()
    up = time.monotonic() - started
    node.kubectl("apply", "-f", "-", stdin=NAMESPACE)
    run_pod(node, "get", ["get", f"{node.s3.in_cluster}/healthz"])
    run_pod(node, "hold", ["hold"])
    wait_for(node, "get", "Succeeded")
    wait_for(node, "hold", "Running")
    assert "200" in node.kubectl("-n", "work", "logs", "get")
    assert node.kubectl("-n", "work", "exec", "hold", "--", "/probe", "say", "hello") == "hello\n"
    with urllib.request.urlopen(f"{node.s3.endpoint}/healthz", timeout=5) as answer:
        assert answer.status == 200
    used = namespaces_below(node.state)
    assert len(used) >= 10  # the node's five, and those of a pod
    assert any("/probe" in line for line in processes_in(used).values())
    assert host_state() != before

    started = time.monotonic()
    node.down()
    assert time.monotonic() - started < patience(DOWN_SECONDS)
    assert up < patience(UP_SECONDS)
    assert process.members(node.state) == []
    assert processes_in(used) == {}
    assert not node.state.exists()
    assert host_state() == before


MOMENTS = {
    "before-the-node": "cluster.json",
    "node-made": "init.ready",
    "keys-half-made": "pki/apiserver.crt",
    "images": "log/kube-apiserver.log",
    "kubelet-started": "log/kubelet.log",
}


@pytest.mark.parametrize("moment", list(MOMENTS.values()), ids=list(MOMENTS))
def test_a_killed_up_leaves_nothing_after_down(
    node: Cluster,
    host_state: Callable[[], object],
    namespaces_below: Callable[[Path], set[str]],
    processes_in: Callable[[set[str]], dict[int, str]],
    moment: str,
) -> None:
    before = host_state()
    program = subprocess.Popen(
        [sys.executable, "-m", "trcluster", "up", "--tier", "node", "--name", NAME],
        cwd=PACKAGE,
    )

    def came() -> bool:
        assert program.poll() is None, "up ended before the moment came"
        return (node.state / moment).exists()

    until(came, what=f"{moment} in the state of the node", seconds=240, every=0.005)
    os.kill(program.pid, signal.SIGKILL)
    program.wait()
    used = namespaces_below(node.state)
    node.down()
    assert process.members(node.state) == []
    assert processes_in(used) == {}
    assert not node.state.exists()
    assert host_state() == before


def test_up_after_a_killed_up_and_with_pods_of_an_earlier_node(node: Cluster) -> None:
    node.up()
    node.kubectl("apply", "-f", "-", stdin=NAMESPACE)
    run_pod(node, "hold", ["hold"])
    wait_for(node, "hold", "Running")
    for pid in process.members(node.state):
        process.send(pid, signal.SIGKILL)
    node.up()
    assert node.exec(["ctr", "-n", "k8s.io", "containers", "ls", "-q"]) == ""
    assert node.import_images([Path(node.layout.binary("probe")).parent / "probe.tar"]) == []


def test_gpus_come_and_go_and_survive_a_kubelet_restart(node: Cluster) -> None:
    node.up()
    node.kubectl("apply", "-f", "-", stdin=NAMESPACE)
    node.set_gpus(1)
    run_pod(node, "first", ["hold"], gpus=1)
    wait_for(node, "first", "Running")
    run_pod(node, "second", ["hold"], gpus=1)
    why = "{.status.conditions[?(@.type=='PodScheduled')].message}"

    def cause() -> str:
        return node.kubectl("-n", "work", "get", "pod", "second", "-o", f"jsonpath={why}")

    what = "the scheduler to miss a GPU"
    until(lambda: "Insufficient nvidia.com/gpu" in cause(), what=what, seconds=120, seen=cause)
    node.service("restart", "kubelet")
    node.set_gpus(2)
    wait_for(node, "second", "Running")


def test_the_program_that_is_interrupted_clears_up_by_itself(node: Cluster) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "trcluster", "up", "--tier", "node", "--name", NAME],
        cwd=PACKAGE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = node.state / "log" / "kube-apiserver.log"
    until(log.exists, what="the API server's log", seconds=240, every=0.01)
    program.terminate()
    _, errors = program.communicate(timeout=120)
    assert program.returncode == 130, errors
    assert errors.endswith("trcluster: interrupted\n")
    assert process.members(node.state) == []
    assert not Path(f"/sys/class/net/{LINK}").exists()


def test_a_second_node_is_refused_by_name(node: Cluster) -> None:
    node.up()
    with pytest.raises(ClusterError, match=r"cluster test-node of tier node is up.*'down --name test-node'"):
        Cluster("test-other", tier=Tier.NODE).up()


def test_a_node_of_another_cache_folder_is_left_alone(
    node: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.up()
    (tmp_path / "trainingrun").mkdir()
    (tmp_path / "trainingrun" / "bin").symlink_to(cache_root() / "bin")
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("XDG_CACHE_HOME", str(tmp_path))
        with pytest.raises(ClusterError, match=f"network link {LINK} already exists"):
            Cluster("test-foreign", tier=Tier.NODE).up()
        Cluster("test-foreign").down()
    assert Path(f"/sys/class/net/{LINK}").exists()
    assert node.kubectl("get", "--raw", "/readyz") == "ok"
