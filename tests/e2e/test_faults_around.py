"""What a run does not need while it works: operator, API server, kubelet, storage for a while, in the end its node."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from trcluster.waiting import until
from trdemo import evidence, stand_in
from trdemo.faults import Faults
from trdemo.follow import condition
from trdemo.place import OwnCluster
from trdemo.scene import Object, Scene, tire_run
from trdemo.story import Resumed, Story, entry_of, succeeded

pytestmark = pytest.mark.node

STEPS = 1000  # ten a second
OUTAGE_SECONDS = 20
SMALL = {"pod": {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}}}}


def around(story: Story) -> None:
    """One run from start to end, with everything around it failing in turn."""
    faults = story.faults
    in_prep(story)
    story.step_beyond(0)
    pod = story.pod("train")
    storm(story)
    story.note("still the first pod", (pod, story.pod("train")))
    node_lost(story, pod)
    faults.at_work(story.pod("export"), "exporter")
    killed = faults.kill_operator()
    story.note("end", story.finished())
    faults.operator_is_back(killed)
    story.note("wrong objects", story.wrong_objects())


def in_prep(story: Story) -> None:
    """The agent dies, then the operator; without storage, so that preparation waits for both."""
    faults = story.faults
    with faults.service_down("s3", "stop"):
        faults.kill(story.pod("prep"), "agent")
        story.note("agent killed in prep", story.ended("prep", 1))
        faults.process(story.pod("prep", 2), "agent")
        story.note("operator killed in prep", story.status())
        killed = faults.kill_operator()
    faults.operator_is_back(killed)


def storm(story: Story) -> None:
    """No storage for as long as several checkpoints take; meanwhile operator, API server and kubelet are killed too."""
    faults = story.faults
    story.note("before the storm", story.status())
    with faults.service_down("s3", "stop"):
        began = time.monotonic()
        told = story.until(lambda s: condition(s, "StorageReady") == "False", "StorageReady=False")
        story.note("storage told", told)
        killed = faults.kill_operator()
        with faults.service_down("kube-apiserver"), faults.service_down("kubelet"):
            pass
        faults.api_server_is_back()
        time.sleep(max(0.0, OUTAGE_SECONDS - (time.monotonic() - began)))
    faults.operator_is_back(killed)
    story.until(lambda s: condition(s, "StorageReady") == "True", "StorageReady=True")
    story.checkpoint_beyond(told["training"].get("checkpointStep", 0))
    story.note("after the storm", story.status())


def node_lost(story: Story, pod: Object) -> None:
    """The node answers no more; its pod is given up, and finds that another has taken its place."""
    faults, bucket = story.faults, story.faults.scene.bucket
    prefix = evidence.prefix_of(story.status())
    agent, trainer = (Path(f"/proc/{faults.process(pod, name)}/cgroup") for name in ("agent", "trainer"))
    with faults.service_down("kubelet", "pause"):
        faults.delete_pod(pod, "--grace-period=1")  # as Kubernetes does for a node that it has given up
        story.note("given up", story.ended("train", 1))
        epoch = evidence.epoch_of(bucket, prefix, pod["metadata"]["uid"])
        assert epoch is not None
        bucket.put_all([(f"{prefix}epochs/{epoch + 1:04d}.json", json.dumps({"podUID": "on-another-node"}).encode())])
        time.sleep(1)  # a manifest that was on its way at that moment may still come
        story.note("published by the lost pod", evidence.checkpoints(bucket, prefix))
        until(lambda: not inside(agent), what="the lost agent to see that another has claimed", seconds=120)
        story.note("its trainer lives on", inside(trainer))
    story.note("node lost", story.resumed(2))
    story.note("published in the end", [each for each in evidence.checkpoints(bucket, prefix) if each[0] <= epoch])


def inside(cgroup: Path) -> bool:
    """Whether a process of a pod is alive."""
    try:
        return "kubepods" in cgroup.read_text()
    except OSError:
        return False


@pytest.fixture(scope="module")
def story(scene: Scene, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Story:
    if not isinstance(scene.place, OwnCluster):
        pytest.skip("daemons of a node can be killed on a cluster of our own only")
    train = {"steps": STEPS, "image": stand_in.load(scene.place, tmp_path_factory.mktemp("stand-in")), **SMALL}
    run = tire_run("around", prep=SMALL, train=train, export=SMALL, tensorboard={"enabled": False})
    told = Story(Faults(scene, scene.place.cluster, namespace), run)
    told.tell(around)
    return told


def test_training_goes_on_without_storage_operator_api_server_and_kubelet(story: Story) -> None:
    before, after = story["before the storm"], story["after the storm"]
    assert after["training"]["step"] > before["training"]["step"]
    assert [entry_of(s, "train")["number"] for s in (before, after)] == [1, 1]
    assert "failures" not in entry_of(after, "train")


def test_the_training_pod_is_the_same_all_the_while(story: Story) -> None:
    before, after = story["still the first pod"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert [c["restartCount"] for c in after["status"]["containerStatuses"]] == [0, 0]


def test_an_agent_killed_in_prep_is_a_crash_and_tried_again(story: Story) -> None:
    entry = story["agent killed in prep"]
    assert (entry["lastReason"], entry["failures"]) == ("NoVerdict", {"crash": 1})


def test_an_operator_killed_in_prep_or_export_starts_no_attempt_twice(story: Story) -> None:
    assert condition(story["operator killed in prep"], "Prepared") == "False"
    numbers = {stage: entry_of(story["end"], stage)["number"] for stage in ("prep", "train", "export")}
    assert numbers == {"prep": 2, "train": 2, "export": 1}


def test_stopped_storage_is_told_and_loses_nothing(story: Story) -> None:
    told = next(c for c in story["storage told"]["conditions"] if c["type"] == "StorageReady")
    assert told["reason"] == "EndpointUnreachable"
    shipped = [s["training"].get("checkpointStep", 0) for s in (story["storage told"], story["after the storm"])]
    assert shipped[1] > shipped[0]


def test_a_pod_on_a_lost_node_is_given_up_and_the_run_goes_on(story: Story) -> None:
    entry = story["given up"]
    assert (entry["lastOutcome"], entry["lastReason"]) == ("interrupted", "PodStuck")
    seen: Resumed = story["node lost"]
    assert seen.told == seen.bucket


def test_the_lost_pod_publishes_nothing_once_another_has_claimed(story: Story) -> None:
    assert story["its trainer lives on"]
    assert story["published by the lost pod"]
    assert story["published in the end"] == story["published by the lost pod"]


def test_the_run_succeeds_after_all_and_every_manifest_verifies(story: Story) -> None:
    end: dict[str, Any] = story["end"]
    assert succeeded(end), end
    assert end["training"]["step"] == STEPS
    assert float(end["export"]["ap50"]) >= 0.5
    assert story["wrong objects"] == []
