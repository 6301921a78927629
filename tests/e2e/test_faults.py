"""After any end of a container, pod or Job, the next attempt resumes from what the bucket holds, and reports that.

Runs go on in parallel, each with one fault after the other. `chain` trains in TensorFlow (pods, Jobs, signals, memory).
`cut` (storage, network, a stopped trainer), `swollen` (scratch space), `mesh` and `spoilt`, to whose pods the cluster
adds containers that never end, and the runs that are deleted, one in each stage (`pause` after its server hung), use a
stand-in for the trainer.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from trcluster.layout import HOST_IP
from trdemo import stored_run
from trdemo.added_containers import NAMES, added_containers
from trdemo.fault_scenario import FaultScenario, Resumed, entry_of, succeeded
from trdemo.faults import Faults
from trdemo.follow import condition
from trdemo.installation import Installation, Object, stand_in_run, tensorflow_run
from trfakes.flaky_s3 import FlakyS3, flaky_s3

pytestmark = pytest.mark.node

STEPS = 600  # of the stand-in: ten a second
TENSORFLOW_STEPS, SAVE_EVERY = 240, 20
NOBODY = "http://s3.storage:7071"  # preparation waits for storage, because nothing listens on this port
SCRATCH_MIB = 64


def chain(scenario: FaultScenario) -> None:
    """End the training pod in every way, one attempt after the other."""
    faults = scenario.faults
    scenario.checkpoint_beyond(0)
    faults.delete_pod(scenario.pod("train"))
    seen = note_resumed(scenario, "pod deleted", attempt=2)
    scenario.checkpoint_beyond(seen.bucket.step)
    faults.evict(scenario.pod("train", 2))
    seen = note_resumed(scenario, "pod evicted", attempt=3)
    scenario.checkpoint_beyond(seen.bucket.step)
    faults.kill(scenario.pod("train", 3), "trainer")
    seen = note_resumed(scenario, "trainer killed", attempt=4)
    scenario.checkpoint_beyond(seen.bucket.step)
    faults.delete_job(scenario.pod("train", 4))
    seen = note_resumed(scenario, "job deleted", attempt=5)
    pod = scenario.pod("train", 5)
    scenario.note("exit code of a child out of memory", faults.exhaust_memory(pod, "trainer"))
    scenario.checkpoint_beyond(seen.bucket.step)
    scenario.note("child out of memory", scenario.status())
    os.kill(faults.at_work(scenario.pod("export"), "agent"), signal.SIGKILL)
    scenario.note("agent killed in export", scenario.ended("export", 1))
    note_end(scenario)
    bucket = faults.installation.bucket
    folder = f"{stored_run.prefix_of(scenario.status())}logs/"
    scenario.note("events", events_of(scenario))
    scenario.note("logs", {key.removeprefix(folder): bucket.read(key) for key in bucket.keys(folder)})


def cut(scenario: FaultScenario, proxy: FlakyS3) -> None:
    """Storage answers 503 in bursts, the network drops packets, the trainer stops, the agent is killed."""
    faults = scenario.faults
    with faults.agent_unreachable(scenario.pod("train")):
        scenario.note("network dropped", scenario.until(from_log, "progress from the log while training"))
    scenario.note("network back", scenario.until(lambda s: source(s) == "agent", "progress from the agent again"))
    scenario.checkpoint_beyond(0)
    scenario.note("503 answered", (proxy.refused, proxy.passed, scenario.status()))
    proxy.flaky = False
    proxy.revoked = True
    scenario.note(
        "key refused", scenario.until(lambda s: storage(s).get("reason") == "InvalidCredentials", "a refused key")
    )
    proxy.revoked = False
    back = scenario.until(lambda s: storage(s).get("reason") == "Usable", "storage that knows the key again")
    scenario.checkpoint_beyond(back["training"]["checkpointStep"])
    scenario.note("key known again", scenario.status())
    faults.freeze(scenario.pod("train"), "trainer")
    seen = note_resumed(scenario, "trainer stopped", attempt=2)
    scenario.checkpoint_beyond(seen.bucket.step)
    faults.kill(scenario.pod("train", 2), "agent")
    seen = note_resumed(scenario, "agent killed", attempt=3)
    scenario.checkpoint_beyond(seen.bucket.step)
    use_up_memory = signal.SIGUSR1  # of the stand-in
    os.kill(faults.process(scenario.pod("train", 3), "trainer"), use_up_memory)
    note_resumed(scenario, "trainer out of memory", attempt=4)
    os.kill(faults.at_work(scenario.pod("export"), "exporter"), signal.SIGKILL)
    scenario.note("exporter killed", scenario.ended("export", 1))
    note_end(scenario)


def mesh(scenario: FaultScenario) -> None:
    """Kill the agent of a training pod to which the cluster has added containers that never end."""
    scenario.step_beyond(0)
    pod = scenario.pod("train")
    scenario.note("containers", [c["name"] for k in ("initContainers", "containers") for c in pod["spec"].get(k, ())])
    scenario.faults.kill(pod, "agent")
    scenario.note("agent killed", scenario.ended("train", 1))
    scenario.pod("train", 2)
    scenario.note("end", scenario.finished())
    scenario.note("left", scenario.faults.wait_until_none("jobs", scenario.name))


def spoilt(scenario: FaultScenario) -> None:
    """Fail in prep, with an agent that ends and added containers that do not."""
    scenario.note("end", scenario.finished())
    scenario.note("left", scenario.faults.wait_until_none("pods", scenario.name))


def swollen(scenario: FaultScenario) -> None:
    """Exceed the scratch space of a training pod after its first checkpoint."""
    scenario.checkpoint_beyond(0)
    scenario.faults.fill_scratch(scenario.pod("train"), "trainer", 2 * SCRATCH_MIB << 20)
    scenario.note("end", scenario.finished())


def pause(scenario: FaultScenario, proxy: FlakyS3) -> None:
    """Let storage hang while a run trains; suspend it, resume it, and delete it while it trains."""
    kubectl, namespace = scenario.faults.installation.target.kubectl, scenario.faults.namespace
    scenario.step_beyond(4)
    with proxy.hanging():
        scenario.note("storage hangs", scenario.until(storage_is("False"), "the hang to show", seconds=30))
    scenario.note("storage is back", scenario.until(storage_is("True"), "the end of the hang to show", seconds=30))
    suspend = '{"spec":{"suspend":%s}}'
    kubectl("patch", "trainingrun", scenario.name, "-n", namespace, "--type=merge", "-p", suspend % "true")
    scenario.note("suspended", scenario.until(lambda s: s.get("phase") == "Suspended", "Suspended", seconds=60))
    kubectl("patch", "trainingrun", scenario.name, "-n", namespace, "--type=merge", "-p", suspend % "false")
    note_resumed(scenario, "resumed", attempt=2)
    scenario.note("events", events_of(scenario))
    scenario.note("deleted in train", scenario.delete())


def brief(scenario: FaultScenario) -> None:
    """Delete the training pod in the second in which it starts, and the run while it exports."""
    pod = scenario.pod("train")
    scenario.faults.process(pod, "agent")
    began = time.monotonic()
    scenario.faults.delete_pod(pod)
    scenario.note("pod deleted at its start", (scenario.ended("train", 1), time.monotonic() - began))
    scenario.faults.at_work(scenario.pod("export"), "exporter")
    scenario.note("deleted in export", scenario.delete())


def gone(scenario: FaultScenario) -> None:
    """Stop the agent of prep; delete the run while the next attempt waits for storage."""
    scenario.faults.freeze(scenario.pod("prep"), "agent")
    scenario.note("agent stopped", scenario.ended("prep", 1))
    scenario.faults.process(scenario.pod("prep", 2), "agent")
    scenario.note("deleted in prep", scenario.delete())


def events_of(scenario: FaultScenario) -> dict[str, str]:
    """Messages of the Events about a run, by reason."""
    found = scenario.faults.installation.target.kubectl.get("events", namespace=scenario.faults.namespace)["items"]
    return {e["reason"]: e["message"] for e in found if e["involvedObject"]["name"] == scenario.name}


def storage(status: Object) -> Object:
    return next((one for one in status.get("conditions", ()) if one["type"] == "StorageReady"), {})


def storage_is(ready: str) -> Callable[[Object], bool]:
    return lambda status: condition(status, "StorageReady") == ready


def source(status: Object) -> str:
    return str(status.get("progress", {}).get("source", ""))


def from_log(status: Object) -> bool:
    return source(status) == "log" and status["progress"]["stage"] == "train"


def note_resumed(scenario: FaultScenario, moment: str, *, attempt: int) -> Resumed:
    seen = scenario.resumed(attempt)
    scenario.note(moment, seen)
    return seen


def note_end(scenario: FaultScenario) -> None:
    scenario.note("end", scenario.finished())
    scenario.note("wrong objects", scenario.wrong_objects())


@pytest.fixture(scope="module")
def scenarios(installation: Installation, faults: Faults, stand_in: str) -> Iterator[dict[str, FaultScenario]]:
    run = partial(stand_in_run, image=stand_in, steps=STEPS)
    kubectl, agent = installation.target.kubectl, installation.images["agent"]
    with (
        added_containers(kubectl, image=agent, runs=("mesh", "spoilt")),
        flaky_s3(installation.target.storage.endpoint, address=HOST_IP) as (proxy, endpoint),
        flaky_s3(installation.target.storage.endpoint, address=HOST_IP) as (hanging, hanging_endpoint),
        ThreadPoolExecutor() as pool,
    ):
        made = {
            "chain": FaultScenario(faults, tensorflow_run("chain", steps=TENSORFLOW_STEPS, save_every=SAVE_EVERY)),
            "cut": FaultScenario(faults, run("cut", steps=700, storage={"endpoint": endpoint})),
            "gone": FaultScenario(faults, run("gone", storage={"endpoint": NOBODY})),
            "pause": FaultScenario(faults, run("pause", steps=5000, storage={"endpoint": hanging_endpoint})),
            "brief": FaultScenario(faults, run("brief", steps=50)),
            "mesh": FaultScenario(faults, run("mesh", steps=100)),
            "swollen": FaultScenario(faults, run("swollen", steps=5000, train={"scratch": f"{SCRATCH_MIB}Mi"})),
            "spoilt": FaultScenario(faults, run("spoilt", dataset={"train": {"uri": "nothing/"}})),
        }
        long = [
            pool.submit(made["chain"].run_script, chain),
            pool.submit(made["cut"].run_script, lambda s: cut(s, proxy)),
            pool.submit(made["mesh"].run_script, mesh),
            pool.submit(made["spoilt"].run_script, spoilt),
            pool.submit(made["swollen"].run_script, swollen),
        ]
        hanging.flaky = False
        for name, script in (("gone", gone), ("pause", partial(pause, proxy=hanging)), ("brief", brief)):
            made[name].run_script(script)
        for future in long:
            future.result()
        yield made


CHAIN = [
    ("pod deleted", "interrupted", "PodDeleted"),
    ("pod evicted", "interrupted", "EvictionByEvictionAPI"),
    ("trainer killed", "crash", "TrainerDied"),
    ("job deleted", "interrupted", "JobGone"),
]
CUT = [
    ("trainer stopped", "stalled", "Stalled"),
    ("agent killed", "crash", "NoVerdict"),
    ("trainer out of memory", "outOfMemory", "OOMKilled"),
]
RESUMED = [*(("chain", *case) for case in CHAIN), *(("cut", *case) for case in CUT)]


@pytest.mark.parametrize(("name", "fault", "outcome", "reason"), RESUMED, ids=[case[1] for case in RESUMED])
def test_the_next_attempt_goes_on_as_the_bucket_says(
    scenarios: dict[str, FaultScenario], name: str, fault: str, outcome: str, reason: str
) -> None:
    seen: Resumed = scenarios[name][fault]
    assert seen.bucket.step > 0
    assert seen.is_reported, seen
    assert seen.attempts["lastOutcome"] == outcome, seen.attempts
    assert seen.attempts["lastReason"] == reason, seen.attempts


@pytest.mark.parametrize("fault", ["pod deleted", "pod evicted", "job deleted"])
def test_a_pod_that_is_told_to_end_loses_no_step(scenarios: dict[str, FaultScenario], fault: str) -> None:
    assert scenarios["chain"][fault].bucket.lost == 0


def test_the_status_accounts_for_every_attempt(scenarios: dict[str, FaultScenario]) -> None:
    end = scenarios["chain"]["end"]
    entry = entry_of(end, "train")
    assert end["training"]["interruptions"] == 3  # pod deleted, pod evicted, Job deleted
    assert entry["older"] == {"interrupted": 2}
    history = [(each["number"], each["outcome"], each["toStep"] >= each["fromStep"]) for each in entry["history"]]
    assert history == [(3, "crash", True), (4, "interrupted", True), (5, "succeeded", True)], entry["history"]
    assert entry["history"][-1]["toStep"] == end["training"]["steps"]


def test_a_pod_that_is_deleted_in_its_first_second_does_not_train_on(scenarios: dict[str, FaultScenario]) -> None:
    """Its grace period is 180 s."""
    entry, seconds = scenarios["brief"]["pod deleted at its start"]
    assert entry["lastOutcome"] == "interrupted", entry
    assert seconds < 60


def test_the_logs_of_ended_attempts_are_in_the_bucket(scenarios: dict[str, FaultScenario]) -> None:
    logs, status = scenarios["chain"]["logs"], scenarios["chain"]["end"]
    found = {(name.rsplit("-", 1)[0], name.rpartition("/")[2]) for name in logs}
    training = {(f"train-000{attempt}", f"{name}.log") for attempt in range(1, 6) for name in ("agent", "trainer")}
    # The agent of export-0001 was killed, and with it what it would have uploaded.
    export = {("export-0002", "agent.log"), ("export-0002", "exporter.log")}
    assert found == {("prep-0001", "agent.log")} | training | export
    [last] = [text for name, text in logs.items() if name.startswith("train-0005") and name.endswith("trainer.log")]
    assert f"step {TENSORFLOW_STEPS}/{TENSORFLOW_STEPS} loss".encode() in last
    assert status["logsURI"].endswith("/logs/")


def test_a_trainer_that_dies_without_a_word_shows_the_last_line_of_its_log(scenarios: dict[str, FaultScenario]) -> None:
    said = scenarios["chain"]["events"]["TrainerDied"]
    assert "SIGKILL" in said
    assert ". Its log ends with: " in said


def test_a_child_that_is_killed_for_memory_ends_nothing(scenarios: dict[str, FaultScenario]) -> None:
    assert scenarios["chain"]["exit code of a child out of memory"] == 137
    entry = entry_of(scenarios["chain"]["child out of memory"], "train")
    assert (entry["number"], entry["failures"].get("outOfMemory")) == (5, None)


def test_a_pod_that_outgrows_its_scratch_is_tried_once(scenarios: dict[str, FaultScenario]) -> None:
    """Its agent says that it was interrupted, and a checkpoint has advanced."""
    end = scenarios["swollen"]["end"]
    entry = entry_of(end, "train")
    assert (entry["number"], entry["lastOutcome"], entry["lastReason"]) == (1, "diskFull", "DiskFull"), entry
    assert f"spec.train.scratch: {2 * SCRATCH_MIB}Mi (now {SCRATCH_MIB}Mi)" in end["message"]


@pytest.mark.parametrize(
    ("name", "fault", "reason"),
    [("chain", "agent killed in export", "NoVerdict"), ("cut", "exporter killed", "ExporterDied")],
)
def test_a_death_in_export_is_a_crash_and_tried_again(
    scenarios: dict[str, FaultScenario], name: str, fault: str, reason: str
) -> None:
    entry = scenarios[name][fault]
    assert (entry["lastOutcome"], entry["lastReason"], entry["failures"]) == ("crash", reason, {"crash": 1}), entry


def test_an_agent_that_stands_still_is_ended_by_its_own_probe(scenarios: dict[str, FaultScenario]) -> None:
    entry = scenarios["gone"]["agent stopped"]
    assert (entry["lastOutcome"], entry["lastReason"]) == ("crash", "NoVerdict"), entry


@pytest.mark.parametrize("name", ["chain", "cut"])
def test_the_run_succeeds_after_all_and_every_manifest_verifies(scenarios: dict[str, FaultScenario], name: str) -> None:
    end = scenarios[name]["end"]
    assert succeeded(end), end
    assert end["training"]["step"] == scenarios[name].run["spec"]["train"]["steps"]
    assert float(end["export"]["ap50"]) >= 0.5
    assert scenarios[name]["wrong objects"] == []


def test_progress_comes_from_the_log_while_the_operator_cannot_reach_pods(scenarios: dict[str, FaultScenario]) -> None:
    dropped, back = scenarios["cut"]["network dropped"], scenarios["cut"]["network back"]
    assert entry_of(back, "train")["number"] == 1
    assert back["progress"].get("done", 0) >= dropped["progress"].get("done", 0)


def test_bursts_of_503_are_waited_out_in_place(scenarios: dict[str, FaultScenario]) -> None:
    refused, passed, status = scenarios["cut"]["503 answered"]
    assert refused >= 5
    assert passed > refused
    assert [entry.get("failures", {}) for entry in status["attempts"]] == [{}, {}]


def test_a_key_that_is_rotated_in_mid_training_ends_no_attempt(scenarios: dict[str, FaultScenario]) -> None:
    refused = storage(scenarios["cut"]["key refused"])
    assert refused["status"] == "False"
    assert "403 InvalidAccessKeyId, No such key. It worked before" in refused["message"]
    training = entry_of(scenarios["cut"]["key known again"], "train")
    assert (training["number"], training.get("ended", 0)) == (1, 0)


@pytest.mark.parametrize(("name", "stage"), [("gone", "prep"), ("pause", "train"), ("brief", "export")])
def test_a_deleted_run_leaves_its_bucket_and_nothing_else(
    scenarios: dict[str, FaultScenario], name: str, stage: str
) -> None:
    assert scenarios[name][f"deleted in {stage}"] == set()


def test_suspend_keeps_the_checkpoint_and_is_no_failure(scenarios: dict[str, FaultScenario]) -> None:
    seen: Resumed = scenarios["pause"]["resumed"]
    assert seen.is_reported, seen
    assert seen.bucket.step >= 5
    assert seen.bucket.lost == 0
    assert "failures" not in seen.attempts


def test_a_suspended_run_says_which_checkpoint_is_safe_and_from_where_it_resumes(
    scenarios: dict[str, FaultScenario],
) -> None:
    status, events, seen = scenarios["pause"]["suspended"], scenarios["pause"]["events"], scenarios["pause"]["resumed"]
    step = seen.bucket.step
    assert events["Suspended"] == f"Suspended at step {step} of 5000, checkpoint {step} saved."
    assert status["message"].startswith(events["Suspended"])
    assert status["training"]["checkpointStep"] == step
    assert events["Resumed"] == f"Training resumes from checkpoint {step} of 5000 steps."


def test_a_hanging_server_shows_while_training_goes_on_and_so_does_its_end(
    scenarios: dict[str, FaultScenario],
) -> None:
    hung, back = scenarios["pause"]["storage hangs"], scenarios["pause"]["storage is back"]
    assert hung["progress"]["text"].endswith(", storage: EndpointUnreachable"), hung["progress"]
    assert back["training"]["step"] >= hung["training"]["step"] > 4
    assert [entry_of(status, "train")["number"] for status in (hung, back)] == [1, 1]


def test_added_containers_that_never_end_hold_up_neither_an_attempt_nor_the_run(
    scenarios: dict[str, FaultScenario],
) -> None:
    assert scenarios["mesh"]["containers"] == [NAMES[1], "agent", "trainer", NAMES[0]]
    entry = scenarios["mesh"]["agent killed"]
    assert (entry["lastReason"], entry["failures"]) == ("NoVerdict", {"crash": 1}), entry
    assert succeeded(scenarios["mesh"]["end"]), scenarios["mesh"]["end"]
    assert scenarios["mesh"]["left"] == []


def test_a_failed_run_keeps_no_pod_for_an_added_container(scenarios: dict[str, FaultScenario]) -> None:
    assert scenarios["spoilt"]["end"]["phase"] == "Failed"
    assert entry_of(scenarios["spoilt"]["end"], "prep")["number"] == 1
    assert scenarios["spoilt"]["left"] == []


def test_every_pod_claimed_an_epoch_of_its_own(installation: Installation, scenarios: dict[str, FaultScenario]) -> None:
    prefix = stored_run.prefix_of(scenarios["chain"]["end"])
    claims = [
        json.loads(installation.bucket.read(key))["podUID"] for key in installation.bucket.keys(f"{prefix}epochs/")
    ]
    assert len(claims) == len(set(claims)) == 1 + 5 + 2
