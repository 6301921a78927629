"""A run survives the loss of the operator, API server, kubelet and storage while it works, and then of its node."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from trcluster.waiting import until
from trdemo import stored_run
from trdemo.fault_scenario import FaultScenario, Resumed, entry_of, succeeded
from trdemo.faults import Faults
from trdemo.follow import condition
from trdemo.installation import SMALL_PREP, Object, small_run

pytestmark = pytest.mark.node

STEPS = 1000  # at ten a second
OUTAGE_SECONDS = 20


def around(scenario: FaultScenario) -> None:
    """Run one TrainingRun to its end while everything around it fails in turn."""
    faults = scenario.faults
    in_prep(scenario)
    scenario.step_beyond(0)
    pod = scenario.pod("train")
    storm(scenario)
    scenario.note("still the first pod", (pod, scenario.pod("train")))
    node_lost(scenario, pod)
    faults.at_work(scenario.pod("export"), "exporter")
    killed = faults.kill_operator()
    scenario.note("end", scenario.finished())
    faults.operator_is_back(killed)
    scenario.note("wrong objects", scenario.wrong_objects())


def in_prep(scenario: FaultScenario) -> None:
    """Kill the agent, then the operator, during prep; storage is down, so that prep cannot finish before."""
    faults = scenario.faults
    with faults.service_down("s3", "stop"):
        faults.kill(scenario.pod("prep"), "agent")
        scenario.note("agent killed in prep", scenario.ended("prep", 1))
        faults.process(scenario.pod("prep", 2), "agent")
        scenario.note("operator killed in prep", scenario.status())
        killed = faults.kill_operator()
    faults.operator_is_back(killed)


def storm(scenario: FaultScenario) -> None:
    """Stop storage for longer than several checkpoints take; meanwhile kill operator, API server and kubelet."""
    faults = scenario.faults
    scenario.note("before the storm", scenario.status())
    with faults.service_down("s3", "stop"):
        began = time.monotonic()
        outage = scenario.until(lambda s: condition(s, "StorageReady") == "False", "StorageReady=False")
        scenario.note("storage outage reported", outage)
        killed = faults.kill_operator()
        with faults.service_down("kube-apiserver"), faults.service_down("kubelet"):
            pass
        faults.api_server_is_back()
        time.sleep(max(0.0, OUTAGE_SECONDS - (time.monotonic() - began)))
    faults.operator_is_back(killed)
    scenario.until(lambda s: condition(s, "StorageReady") == "True", "StorageReady=True")
    scenario.checkpoint_beyond(outage["training"].get("checkpointStep", 0))
    scenario.note("after the storm", scenario.status())


def node_lost(scenario: FaultScenario, pod: Object) -> None:
    """Pause the kubelet: the pod is given up, and its agent must notice that another pod has claimed the run."""
    faults, bucket = scenario.faults, scenario.faults.installation.bucket
    prefix = stored_run.prefix_of(scenario.status())
    agent, trainer = (Path(f"/proc/{faults.process(pod, name)}/cgroup") for name in ("agent", "trainer"))
    with faults.service_down("kubelet", "pause"):
        faults.delete_pod(pod, "--grace-period=1")  # as Kubernetes does for a node that does not answer
        scenario.note("given up", scenario.ended("train", 1))
        epoch = stored_run.epoch_of(bucket, prefix, pod["metadata"]["uid"])
        assert epoch is not None
        bucket.put_all([(f"{prefix}epochs/{epoch + 1:04d}.json", json.dumps({"podUID": "on-another-node"}).encode())])
        time.sleep(1)  # a manifest whose upload has begun may still arrive
        scenario.note("published by the lost pod", stored_run.checkpoints(bucket, prefix))
        until(lambda: not inside(agent), what="the lost agent to notice the other pod's claim and end", seconds=120)
        scenario.note("its trainer lives on", inside(trainer))
    scenario.note("node lost", scenario.resumed(2))
    scenario.note("published in the end", [each for each in stored_run.checkpoints(bucket, prefix) if each[0] <= epoch])


def inside(cgroup: Path) -> bool:
    """Whether the process of this cgroup file still runs in a pod."""
    try:
        return "kubepods" in cgroup.read_text()
    except OSError:
        return False


@pytest.fixture(scope="module")
def scenario(faults: Faults, stand_in: str) -> FaultScenario:
    train = {"steps": STEPS, "image": stand_in, **SMALL_PREP}
    made = FaultScenario(faults, small_run("around", train=train))
    made.run_script(around)
    return made


def test_training_goes_on_without_storage_operator_api_server_and_kubelet(scenario: FaultScenario) -> None:
    before, after = scenario["before the storm"], scenario["after the storm"]
    assert after["training"]["step"] > before["training"]["step"]
    assert [entry_of(s, "train")["number"] for s in (before, after)] == [1, 1]
    assert "failures" not in entry_of(after, "train")


def test_the_training_pod_is_the_same_all_the_while(scenario: FaultScenario) -> None:
    before, after = scenario["still the first pod"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert [c["restartCount"] for c in after["status"]["containerStatuses"]] == [0, 0]


def test_an_agent_killed_in_prep_is_a_crash_and_tried_again(scenario: FaultScenario) -> None:
    entry = scenario["agent killed in prep"]
    assert (entry["lastReason"], entry["failures"]) == ("NoVerdict", {"crash": 1})


def test_an_operator_killed_in_prep_or_export_starts_no_attempt_twice(scenario: FaultScenario) -> None:
    assert condition(scenario["operator killed in prep"], "Prepared") == "False"
    numbers = {stage: entry_of(scenario["end"], stage)["number"] for stage in ("prep", "train", "export")}
    assert numbers == {"prep": 2, "train": 2, "export": 1}


def test_stopped_storage_is_told_and_loses_nothing(scenario: FaultScenario) -> None:
    ready = next(c for c in scenario["storage outage reported"]["conditions"] if c["type"] == "StorageReady")
    assert ready["reason"] == "EndpointUnreachable"
    moments = ("storage outage reported", "after the storm")
    before, after = (scenario[moment]["training"].get("checkpointStep", 0) for moment in moments)
    assert after > before


def test_a_pod_on_a_lost_node_is_given_up_and_the_run_goes_on(scenario: FaultScenario) -> None:
    entry = scenario["given up"]
    assert (entry["lastOutcome"], entry["lastReason"]) == ("interrupted", "PodStuck")
    seen: Resumed = scenario["node lost"]
    assert seen.is_reported, seen


def test_the_lost_pod_publishes_nothing_once_another_has_claimed(scenario: FaultScenario) -> None:
    assert scenario["its trainer lives on"]
    assert scenario["published by the lost pod"]
    assert scenario["published in the end"] == scenario["published by the lost pod"]


def test_the_run_succeeds_after_all_and_every_manifest_verifies(scenario: FaultScenario) -> None:
    end: dict[str, Any] = scenario["end"]
    assert succeeded(end), end
    assert end["training"]["step"] == STEPS
    assert float(end["export"]["ap50"]) >= 0.5
    assert scenario["wrong objects"] == []
