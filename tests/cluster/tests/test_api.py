"""Tiers api and fleet on this machine: parallel clusters, SIGKILL, faults in daemons, Jobs on fake nodes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest

from trcluster import Cluster, ClusterError, Tier, process
from trcluster.waiting import patience, until

pytestmark = pytest.mark.api

PACKAGE = Path(__file__).resolve().parents[1]
UP_SECONDS = 20
DOWN_SECONDS = 5


@pytest.fixture
def pair() -> Iterator[list[Cluster]]:
    clusters = [Cluster(f"test-side-{number}", tier=Tier.API) for number in (1, 2)]
    yield clusters
    for cluster in clusters:
        cluster.down()


@pytest.fixture
def fleet() -> Iterator[Cluster]:
    with Cluster("test-fleet", tier=Tier.FLEET, fake_nodes=2) as cluster:
        yield cluster


def test_clusters_run_side_by_side_and_end_alone(pair: list[Cluster]) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(Cluster.up, pair))
    one, two = pair
    assert not set(asdict(one.layout.ports).values()) & set(asdict(two.layout.ports).values())
    one.kubectl("create", "configmap", "mine")
    with pytest.raises(ClusterError, match="not found"):
        two.kubectl("get", "configmap", "mine")
    one.down()
    assert not one.state.exists()
    assert process.members(one.state) == []
    assert two.kubectl("get", "--raw", "/readyz") == "ok"
    with pytest.raises(ClusterError, match="there is no cluster 'test-side-1'"):
        assert one.kubeconfig


def test_up_again_starts_afresh(pair: list[Cluster]) -> None:
    cluster = pair[0]
    cluster.up()
    cluster.kubectl("create", "configmap", "old")
    old = {each.pid for each in cluster.status()}
    cluster.up()
    assert not old & {each.pid for each in cluster.status()}
    assert "old" not in cluster.kubectl("get", "configmaps", "-o", "name")


def test_down_clears_what_a_killed_up_left(pair: list[Cluster]) -> None:
    cluster = pair[0]
    program = subprocess.Popen(
        [sys.executable, "-m", "trcluster", "up", "--tier", "api", "--name", cluster.name], cwd=PACKAGE
    )
    log = cluster.state / "log" / "kube-apiserver.log"
    until(log.exists, what="the API server's log", seconds=120, every=0.01)
    os.kill(program.pid, signal.SIGKILL)
    program.wait()
    assert process.members(cluster.state)
    cluster.down()
    assert process.members(cluster.state) == []
    assert not cluster.state.exists()


def test_a_second_up_of_the_same_name_is_refused_while_one_runs(pair: list[Cluster]) -> None:
    cluster = pair[0]
    with cluster._lock(), pytest.raises(ClusterError, match="another 'up' or 'down' of cluster test-side-1 is running"):
        Cluster(cluster.name, tier=Tier.API).down()


def audited(cluster: Cluster, name: str) -> list[tuple[str, str, str]]:
    """Verb, user and level of every finished request for the object ``name``."""
    lines = cluster.layout.audit_log.read_text().splitlines(keepends=True)
    events = [json.loads(line) for line in lines if line.endswith("\n")]
    seen = [each for each in events if each.get("objectRef", {}).get("name") == name]
    return [(each["verb"], each["user"]["username"], each["level"]) for each in seen]


def test_audit_log_names_who_did_what() -> None:
    with Cluster("test-audit", tier=Tier.API, audit=True) as cluster:
        cluster.kubectl("create", "configmap", "watched")
        cluster.kubectl("get", "configmap", "watched")
        # The line is written just after the answer.
        until(lambda: len(audited(cluster, "watched")) >= 2, what="both requests in the audit log", seconds=60)
        user = "kubernetes-super-admin"
        assert audited(cluster, "watched") == [("create", user, "Metadata"), ("get", user, "Metadata")]


def wait_ready(cluster: Cluster, ready: bool) -> None:
    """Until the API server answers, or stops to."""

    def answers() -> bool:
        try:
            cluster.kubectl("get", "--raw", "/readyz", "--request-timeout=2s")
        except ClusterError:
            return False
        return True

    what = f"the API server {'to answer' if ready else 'to be silent'}"
    seen = partial(process.end_of, cluster.log("kube-apiserver"))
    until(lambda: answers() is ready, what=what, seconds=120, every=0.1, seen=seen)


def test_fault_injection_on_one_daemon(pair: list[Cluster]) -> None:
    cluster = pair[0]
    cluster.up()
    cluster.service("pause", "kube-apiserver")
    wait_ready(cluster, False)
    cluster.service("resume", "kube-apiserver")
    wait_ready(cluster, True)
    cluster.service("kill", "etcd")
    assert [each.pid for each in cluster.status() if each.name == "etcd"] == [None]
    with pytest.raises(ClusterError, match="service etcd of cluster test-side-1 does not run: 'service start etcd'"):
        cluster.service("stop", "etcd")
    cluster.service("start", "etcd")
    wait_ready(cluster, True)
    cluster.service("restart", "kube-apiserver")
    wait_ready(cluster, True)


def test_a_killed_daemon_finds_its_ports_free_when_started_at_once(pair: list[Cluster]) -> None:
    cluster = pair[0]
    cluster.up()
    for _ in range(10):
        cluster.service("kill", "etcd")
        cluster.service("start", "etcd")
        wait_listening(cluster, cluster.layout.ports.etcd)


def wait_listening(cluster: Cluster, port: int) -> None:
    """Until etcd takes connections."""

    def connected() -> bool:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True

    seen = partial(process.end_of, cluster.log("etcd"))
    until(connected, what="etcd to take connections", seconds=60, every=0.02, not_yet=(OSError,), seen=seen)


JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: %s}
spec:
  backoffLimit: 0
  template:
    metadata: {annotations: %s}
    spec:
      restartPolicy: Never
      containers:
      - {name: agent, image: none, resources: {limits: {nvidia.com/gpu: %d}}}
      - {name: trainer, image: none}
"""
CASES = [
    ("plain", {}, 1, "Complete", 0, ""),
    ("message", {"fleet.trainingrun.dev/termination-message": '{"a": "b"}'}, 1, "Complete", 0, '{"a": "b"}'),
    ("slow", {"fleet.trainingrun.dev/duration": "2s"}, 1, "Complete", 0, ""),
    ("failing", {"fleet.trainingrun.dev/exit-code": "7"}, 1, "Failed", 7, ""),
]


def test_jobs_on_fake_nodes(fleet: Cluster) -> None:
    for name, marks, gpus, *_ in CASES:
        fleet.kubectl("apply", "-f", "-", stdin=JOB % (name, json.dumps(marks), gpus))
    for name, _marks, _gpus, condition, code, message in CASES:
        fleet.wait(f"--for=condition={condition}", f"job/{name}")
        (pod,) = json.loads(fleet.kubectl("get", "pods", "-l", f"job-name={name}", "-o", "json"))["items"]
        ended = [each["state"]["terminated"] for each in pod["status"]["containerStatuses"]]
        assert [(each["exitCode"], each.get("message", "")) for each in ended] == [(code, message)] * 2
    fleet.kubectl("apply", "-f", "-", stdin=JOB % ("held", '{"fleet.trainingrun.dev/hold": "true"}', 8))
    fleet.wait("--for=jsonpath={.status.ready}=1", "job/held")
    fleet.kubectl("apply", "-f", "-", stdin=JOB % ("too-big", "{}", 9))
    fleet.wait("--for=jsonpath={.status.conditions[0].reason}=Unschedulable", "pod", "-ljob-name=too-big")


def test_warm_up_and_down_are_fast(pair: list[Cluster]) -> None:
    cluster = pair[0]
    cluster.up()  # builds what is missing
    started = time.monotonic()
    cluster.up()
    up = time.monotonic() - started
    cluster.down()
    assert up < patience(UP_SECONDS)
    assert time.monotonic() - started - up < patience(DOWN_SECONDS)
