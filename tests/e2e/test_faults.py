"""Whatever ends a container, a pod or a Job: the next attempt goes on from what the bucket holds, and says so.

Three runs side by side, each broken again and again: `chain` trains in TensorFlow (pods, Jobs, signals, memory); in
`cut` (storage, network, a trainer that stands still), and in those that are deleted one after the other in each stage,
a stand-in plays the trainer's part.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from trcluster.layout import HOST_IP
from trdemo import evidence, stand_in
from trdemo.faults import Faults
from trdemo.place import OwnCluster
from trdemo.scene import Object, Scene, tire_run
from trdemo.story import Resumed, Story, entry_of, succeeded
from trfakes.flaky_s3 import FlakyS3, flaky_s3

pytestmark = pytest.mark.node

STEPS = 600  # of the stand-in, which makes ten a second
TENSORFLOW_STEPS, SAVE_EVERY = 240, 20
NOBODY = "http://s3.storage:7071"  # preparation waits for a storage that never answers
SMALL = {"requests": {"cpu": "50m", "memory": "128Mi"}}
LIMIT = {"limits": {"memory": "256Mi"}}


def run_of(name: str, *, image: str, steps: int = STEPS, **changes: Any) -> Object:
    """A run that leaves the node room for others: no TensorBoard, small requests; `image` is the stand-in's."""
    train = {"steps": steps, "image": image, "stallSeconds": 30, "pod": {"resources": {**SMALL, **LIMIT}}}
    return small_run(name, train=train, **changes)


def tensorflow_run(name: str) -> Object:
    """The same with the trainer that users get."""
    cadence = {"saveEverySteps": SAVE_EVERY, "evalEverySteps": TENSORFLOW_STEPS}
    pod = {"resources": {**SMALL, "limits": {"memory": "3Gi"}}}
    return small_run(name, train={"steps": TENSORFLOW_STEPS, **cadence, "pod": pod})


def small_run(name: str, **changes: Any) -> Object:
    pod = {"pod": {"resources": SMALL}}
    return tire_run(name, prep=pod, export={**pod, "evalImages": 5}, tensorboard={"enabled": False}, **changes)


def chain(story: Story) -> None:
    """Everything that ends a training pod, one after the other."""
    faults = story.faults
    story.checkpoint_beyond(0)
    faults.delete_pod(story.pod("train"))
    seen = note_resumed(story, "pod deleted", attempt=2)
    story.checkpoint_beyond(seen.bucket.step)
    faults.evict(story.pod("train", 2))
    seen = note_resumed(story, "pod evicted", attempt=3)
    story.checkpoint_beyond(seen.bucket.step)
    faults.kill(story.pod("train", 3), "trainer")
    seen = note_resumed(story, "trainer killed", attempt=4)
    story.checkpoint_beyond(seen.bucket.step)
    faults.scene.place.kubectl("delete", "job", f"{story.name}-train-4", "-n", faults.namespace, "--wait=false")
    seen = note_resumed(story, "job deleted", attempt=5)
    pod = story.pod("train", 5)
    story.note("exit code of a child out of memory", faults.eat_memory(pod, "trainer"))
    story.checkpoint_beyond(seen.bucket.step)
    story.note("child out of memory", story.status())
    os.kill(faults.at_work(story.pod("export"), "agent"), signal.SIGKILL)
    story.note("agent killed in export", story.ended("export", 1))
    note_end(story)


def cut(story: Story, proxy: FlakyS3) -> None:
    """Storage that answers 503 in bursts, a network that drops, a trainer that stands still, an agent that dies."""
    faults = story.faults
    with faults.agent_unreachable(story.pod("train")):
        story.note("network dropped", story.until(from_log, "progress from the log while training"))
    story.note("network back", story.until(lambda s: source(s) == "agent", "progress from the agent again"))
    story.checkpoint_beyond(0)
    story.note("503 answered", (proxy.refused, proxy.passed, story.status()))
    proxy.flaky = False
    faults.freeze(story.pod("train"), "trainer")
    seen = note_resumed(story, "trainer stopped", attempt=2)
    story.checkpoint_beyond(seen.bucket.step)
    faults.kill(story.pod("train", 2), "agent")
    seen = note_resumed(story, "agent killed", attempt=3)
    story.checkpoint_beyond(seen.bucket.step)
    os.kill(faults.process(story.pod("train", 3), "trainer"), signal.SIGUSR1)  # from now on it takes memory
    note_resumed(story, "trainer out of memory", attempt=4)
    os.kill(faults.at_work(story.pod("export"), "exporter"), signal.SIGKILL)
    story.note("exporter killed", story.ended("export", 1))
    note_end(story)


def pause(story: Story) -> None:
    """Suspended, resumed, deleted while it trains."""
    kubectl, namespace = story.faults.scene.place.kubectl, story.faults.namespace
    story.step_beyond(4)
    suspend = '{"spec":{"suspend":%s}}'
    kubectl("patch", "trainingrun", story.name, "-n", namespace, "--type=merge", "-p", suspend % "true")
    story.until(lambda s: s.get("phase") == "Suspended", "Suspended", seconds=30)
    kubectl("patch", "trainingrun", story.name, "-n", namespace, "--type=merge", "-p", suspend % "false")
    note_resumed(story, "resumed", attempt=2)
    story.note("deleted in train", story.delete())


def brief(story: Story) -> None:
    """Deleted while it exports."""
    story.faults.at_work(story.pod("export"), "exporter")
    story.note("deleted in export", story.delete())


def gone(story: Story) -> None:
    """Its agent stands still; the next one finds no storage, and the run is deleted while it waits for that."""
    story.faults.freeze(story.pod("prep"), "agent")
    story.note("agent stopped", story.ended("prep", 1))
    story.faults.process(story.pod("prep", 2), "agent")
    story.note("deleted in prep", story.delete())


def source(status: Object) -> str:
    return str(status.get("progress", {}).get("source", ""))


def from_log(status: Object) -> bool:
    return source(status) == "log" and status["progress"]["stage"] == "train"


def note_resumed(story: Story, moment: str, *, attempt: int) -> Resumed:
    seen = story.resumed(attempt)
    story.note(moment, seen)
    return seen


def note_end(story: Story) -> None:
    story.note("end", story.finished())
    story.note("wrong objects", story.wrong_objects())


@pytest.fixture(scope="module")
def faults(scene: Scene, namespace: str) -> Faults:
    if not isinstance(scene.place, OwnCluster):
        pytest.skip("processes and the network of a node can be broken on a cluster of our own only")
    return Faults(scene, scene.place.cluster, namespace)


@pytest.fixture(scope="module")
def stories(scene: Scene, faults: Faults, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Story]]:
    run = partial(run_of, image=stand_in.load(scene.place, tmp_path_factory.mktemp("stand-in")))
    with flaky_s3(scene.place.storage.endpoint, address=HOST_IP) as (proxy, endpoint), ThreadPoolExecutor() as pool:
        told = {
            "chain": Story(faults, tensorflow_run("chain")),
            "cut": Story(faults, run("cut", storage={"endpoint": endpoint})),
            "gone": Story(faults, run("gone", storage={"endpoint": NOBODY})),
            "pause": Story(faults, run("pause", steps=5000)),
            "brief": Story(faults, run("brief", steps=5)),
        }
        long = [pool.submit(told["chain"].tell, chain), pool.submit(told["cut"].tell, lambda s: cut(s, proxy))]
        for name, script in (("gone", gone), ("pause", pause), ("brief", brief)):
            told[name].tell(script)
        for future in long:
            future.result()
        yield told


CHAIN = [
    ("pod deleted", "interrupted", "Interrupted"),
    ("pod evicted", "interrupted", "EvictionByEvictionAPI"),
    ("trainer killed", "crash", "TrainerDied"),
    ("job deleted", "interrupted", ""),
]
CUT = [
    ("trainer stopped", "stalled", "Stalled"),
    ("agent killed", "crash", "NoVerdict"),
    ("trainer out of memory", "outOfMemory", "OOMKilled"),
]
RESUMED = [*(("chain", *case) for case in CHAIN), *(("cut", *case) for case in CUT)]


@pytest.mark.parametrize(("name", "fault", "outcome", "reason"), RESUMED, ids=[case[1] for case in RESUMED])
def test_the_next_attempt_goes_on_as_the_bucket_says(
    stories: dict[str, Story], name: str, fault: str, outcome: str, reason: str
) -> None:
    seen: Resumed = stories[name][fault]
    assert seen.bucket.step > 0
    assert seen.told == seen.bucket
    assert seen.attempts["lastOutcome"] == outcome, seen.attempts
    assert not reason or seen.attempts["lastReason"] == reason, seen.attempts


@pytest.mark.parametrize("fault", ["pod deleted", "pod evicted", "job deleted"])
def test_a_pod_that_is_told_to_end_loses_no_step(stories: dict[str, Story], fault: str) -> None:
    assert stories["chain"][fault].bucket.lost == 0


def test_a_child_that_is_killed_for_memory_ends_nothing(stories: dict[str, Story]) -> None:
    assert stories["chain"]["exit code of a child out of memory"] == 137
    entry = entry_of(stories["chain"]["child out of memory"], "train")
    assert (entry["number"], entry["failures"].get("outOfMemory")) == (5, None)


@pytest.mark.parametrize(
    ("name", "fault", "reason"),
    [("chain", "agent killed in export", "NoVerdict"), ("cut", "exporter killed", "ExporterDied")],
)
def test_a_death_in_export_is_a_crash_and_tried_again(
    stories: dict[str, Story], name: str, fault: str, reason: str
) -> None:
    entry = stories[name][fault]
    assert (entry["lastOutcome"], entry["lastReason"], entry["failures"]) == ("crash", reason, {"crash": 1}), entry


def test_an_agent_that_stands_still_is_ended_by_its_own_probe(stories: dict[str, Story]) -> None:
    entry = stories["gone"]["agent stopped"]
    assert (entry["lastOutcome"], entry["lastReason"]) == ("crash", "NoVerdict"), entry


@pytest.mark.parametrize("name", ["chain", "cut"])
def test_the_run_succeeds_after_all_and_every_manifest_verifies(stories: dict[str, Story], name: str) -> None:
    end = stories[name]["end"]
    assert succeeded(end), end
    assert end["training"]["step"] == stories[name].run["spec"]["train"]["steps"]
    assert float(end["export"]["ap50"]) >= 0.5
    assert stories[name]["wrong objects"] == []


def test_progress_comes_from_the_log_while_the_operator_cannot_reach_pods(stories: dict[str, Story]) -> None:
    dropped, back = stories["cut"]["network dropped"], stories["cut"]["network back"]
    assert entry_of(back, "train")["number"] == 1
    assert back["progress"].get("done", 0) >= dropped["progress"].get("done", 0)


def test_bursts_of_503_are_waited_out_in_place(stories: dict[str, Story]) -> None:
    refused, passed, status = stories["cut"]["503 answered"]
    assert refused >= 5
    assert passed > refused
    assert [entry.get("failures", {}) for entry in status["attempts"]] == [{}, {}]


@pytest.mark.parametrize(("name", "stage"), [("gone", "prep"), ("pause", "train"), ("brief", "export")])
def test_a_deleted_run_leaves_its_bucket_and_nothing_else(stories: dict[str, Story], name: str, stage: str) -> None:
    assert stories[name][f"deleted in {stage}"] == set()


def test_suspend_keeps_the_checkpoint_and_is_no_failure(stories: dict[str, Story]) -> None:
    seen: Resumed = stories["pause"]["resumed"]
    assert seen.told == seen.bucket
    assert seen.bucket.step >= 5
    assert seen.bucket.lost == 0
    assert "failures" not in seen.attempts


def test_every_pod_claimed_an_epoch_of_its_own(scene: Scene, stories: dict[str, Story]) -> None:
    prefix = evidence.prefix_of(stories["chain"]["end"])
    claims = [json.loads(scene.bucket.read(key))["podUID"] for key in scene.bucket.keys(f"{prefix}epochs/")]
    assert len(claims) == len(set(claims)) == 1 + 5 + 2
