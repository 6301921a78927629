"""A run that waits for a Secret, ServiceAccount or ConfigMap holds no node, goes on by itself, and names its like."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from trainingrun.api import clock
from trainingrun.api.settings import Policy
from trfakes.builders import SETTINGS, START, a_run
from trfakes.play import Play

MOUNT = 'FailedMount: MountVolume.SetUp failed for volume "credentials" : secret "{}" not found'
CA = 'FailedMount: MountVolume.SetUp failed for volume "ca" : configmap "corporate-ca" not found'
SHOWN = "Preparing: waiting (SecretMissing)"


def fail_to_mount(play: Play, job: str, hint: str = MOUNT.format("trainingrun-s3"), **fields: Any) -> None:
    pod = play.start_pod(job, phase="Pending", containers={}, **fields)
    play.hints = {pod.uid: hint}


def step(play: Play, after: float) -> None:
    """Let time pass; the garbage collector ends the pods of deleted Jobs."""
    play.pods = {job: pod for job, pod in play.pods.items() if job in play.jobs}
    play.step(after)


def retry(play: Play) -> None:
    """Let every pod that exists fail to mount the Secret, and a second pass."""
    for job in play.jobs.keys() - play.pods.keys():
        fail_to_mount(play, job)
    step(play, 1)


def waits(hint: str = MOUNT.format("trainingrun-s3"), **spec: Any) -> Play:
    play = Play(a_run().spec(**spec))
    play.step()
    fail_to_mount(play, "tire-prep-1", hint)
    play.step(3)
    return play


def seconds(play: Play) -> float:
    """Seconds since the run began."""
    return (play.now - START).total_seconds()


def pods_of_one_hour(play: Play) -> list[tuple[float, float]]:
    """Let nobody create the object for an hour; returns when each pod got its node, and when it was given up."""
    held, begun = [], 0.0
    while seconds(play) < 3600:
        before = set(play.jobs)
        retry(play)
        if play.jobs and not before:
            begun = seconds(play)
        elif before and not play.jobs:
            held.append((begun, seconds(play)))
    return held


def test_a_run_that_waits_for_its_secret_holds_no_cpu_that_another_could_use() -> None:
    play = waits()
    held = pods_of_one_hour(play)
    assert sum(end - begin for begin, end in held) < 0.1 * 3600
    pauses = [later[0] - earlier[1] for earlier, later in pairwise(held)]
    assert 28 <= pauses[0] <= 32
    assert pauses == sorted(pauses)
    assert pauses[-1] <= 122


def test_all_tries_are_one_wait() -> None:
    play = waits()
    shown = set()
    while seconds(play) < 600:
        retry(play)
        shown.add((play.status["progress"]["text"], play.condition("Prepared")["reason"]))
    assert shown == {(SHOWN, "SecretMissing")}
    assert play.reasons().count("SecretMissing") == 1
    assert len(play.created) > 4
    assert "failures" not in play.attempts("prep")
    (end,) = play.attempts("prep")["history"]  # they do not push out the ends of attempts that worked
    assert (end["outcome"], end["reason"]) == ("replaced", "SecretMissing")
    assert play.attempts("prep")["older"] == {"replaced": play.attempts("prep")["ended"] - 1}


def test_the_history_counts_the_time_of_a_long_wait_once() -> None:
    """All tries have one `startedAt`, from which the start deadline counts; the end of each says when its Job came."""
    play = waits()
    pods_of_one_hour(play)
    given_up = play.attempts("prep")["history"][-1]
    held = clock.seconds_between(given_up["startedAt"], given_up["endedAt"])
    assert held is not None
    assert held < 30
    play.step(180)
    (job,) = play.jobs
    created = play.jobs[job].created
    play.end_pod(job)
    play.step(1)
    assert play.condition("Prepared")["status"] == "True"
    assert play.attempts("prep")["history"][-1]["startedAt"] == created


def test_the_message_says_when_the_run_looks_again() -> None:
    play = waits()
    play.step(20)
    assert play.jobs == {}
    again = play.attempts("prep")["nextRetryAt"]
    assert (clock.parse(again) - play.now).total_seconds() == 30  # type: ignore[operator]
    message = play.status["message"]
    assert 'secret "trainingrun-s3" not found' in message
    assert "another spec.storage.credentials.secretName" in message
    assert message.endswith(f"Until attempt 2 looks for it again at {again}, the run holds no CPU, memory or GPU.")


def test_the_run_goes_on_once_the_secret_exists() -> None:
    play = waits()
    step(play, 20)
    step(play, 31)
    assert play.created == ["tire-prep-1", "tire-prep-2"]
    play.start_pod("tire-prep-2", phase="Pending", containers={}, mounted=True)
    play.step(2)
    assert play.condition("Prepared")["reason"] == "ContainerCreating"
    play.start_pod("tire-prep-2")
    play.step(1)
    assert play.condition("Prepared")["reason"] == "Running"
    play.end_pod("tire-prep-2")
    play.step(1)
    assert play.condition("Prepared")["status"] == "True"


def test_a_first_attempt_does_not_look_again() -> None:
    """What keeps its pod after the Secret is known to be missing is not hidden behind it."""
    play = waits()
    play.hints = dict.fromkeys(play.hints, "FailedMount: something else")
    play.step(3)
    assert (play.condition("Prepared")["reason"], "looks for it" in play.status["message"]) == (
        "ContainerCreating",
        False,
    )


def test_a_secret_that_comes_with_its_run_is_not_waited_for_twice() -> None:
    play = waits()
    play.step(10)
    play.start_pod("tire-prep-1")
    play.step(20)
    assert (play.created, play.condition("Prepared")["reason"]) == (["tire-prep-1"], "Running")


def test_a_pod_that_has_mounted_its_secret_is_not_given_up_for_an_old_event() -> None:
    """The newest warning is still about the Secret while the node pulls the image."""
    play = waits()
    play.change_pod("tire-prep-1", mounted=True)
    for _ in range(20):
        play.step(3)
    assert play.created == ["tire-prep-1"]
    assert play.condition("Prepared")["reason"] == "ContainerCreating"


def test_a_wait_for_something_else_is_shown_as_such_when_the_run_looks_again() -> None:
    play = waits()
    step(play, 20)
    step(play, 31)
    play.start_pod("tire-prep-2", phase="Pending", scheduled_at="", containers={}, unschedulable="0/1 nodes: full")
    play.step(1)
    assert play.condition("Prepared")["reason"] == "PodUnschedulable"


def test_the_start_deadline_counts_over_all_tries() -> None:
    play = waits(startDeadlineSeconds=100)
    while "finishedAt" not in play.status and seconds(play) < 200:
        retry(play)
    assert 100 <= seconds(play) <= 102
    assert play.condition("Succeeded")["reason"] == "StartDeadlineExceeded"
    assert 'secret "trainingrun-s3" not found' in play.status["message"]
    assert play.jobs == {}


def test_a_pause_that_ends_at_the_deadline_counts_its_attempt_once_and_promises_no_pod() -> None:
    play = waits(startDeadlineSeconds=40)
    step(play, 20)
    assert play.jobs == {}
    step(play, 20)
    ends = [(end["number"], end["outcome"]) for end in play.attempts("prep")["history"]]
    assert (play.status["phase"], ends) == ("Failed", [(1, "replaced")])
    assert "starts by itself" not in play.status["message"]
    assert play.condition("Prepared")["reason"] == "StartDeadlineExceeded"


def test_each_try_lasts_only_as_long_as_its_job() -> None:
    play = waits()
    while play.attempts("prep").get("ended", 0) < 2:
        retry(play)
    (end,) = play.attempts("prep")["history"]
    assert (end["number"], end["outcome"]) == (2, "replaced")
    assert end["startedAt"] > play.attempts("prep")["startedAt"]


def test_a_run_that_is_resumed_within_a_pause_looks_for_its_secret_at_once() -> None:
    play = waits()
    step(play, 20)
    play.spec(suspend=True)
    step(play, 1)
    assert "nextRetryAt" not in play.attempts("prep")
    play.spec(suspend=False)
    play.step(1)
    assert list(play.jobs) == ["tire-prep-2"]


def test_a_run_is_suspended_while_it_waits() -> None:
    play = waits()
    step(play, 20)
    play.spec(suspend=True)
    step(play, 60)
    assert (play.jobs, play.status["phase"]) == ({}, "Suspended")
    play.spec(suspend=False)
    play.step(1)
    assert list(play.jobs) == ["tire-prep-2"]


def test_a_config_map_with_a_ca_bundle_is_waited_for_like_a_secret() -> None:
    storage = {"caBundle": {"configMapName": "corporate-ca"}}
    play = waits(CA, storage=storage)
    play.others = {"default/base": neighbour("base", {"caBundle": {"configMapName": "corporate-cas"}})}
    play.step(3)
    assert "Did you mean corporate-cas, which TrainingRun base uses?" in play.status["message"]
    play.step(20)
    assert (play.jobs, play.condition("Prepared")["reason"]) == ({}, "ConfigMapMissing")


def test_the_document_of_the_run_is_restored_instead() -> None:
    play = Play()
    play.step()
    name = f"tire-resolved-{play.run.uid[:8]}"
    for _ in range(10):
        fail_to_mount(play, "tire-prep-1", f'FailedMount: configmap "{name}" not found')
        play.step(3)
    assert play.created == ["tire-prep-1"]


def neighbour(name: str, storage: dict[str, Any], *, ready: str = "True") -> Any:
    return a_run(name).spec(storage=storage).condition("StorageReady", ready).build()


MEANT = "Did you mean trainingrun-s3, which TrainingRun base uses?"
NEIGHBOURS = {
    "a slip": ("trainingrun-s4", "True", True),
    "another name": ("trainingrun-robots", "True", False),
    "one that does not work either": ("trainingrun-s4", "False", False),
    "the same": ("trainingrun-s3", "True", False),
}


@pytest.mark.parametrize(("missing", "ready", "named"), NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_a_secret_that_another_run_uses_may_be_meant(missing: str, ready: str, *, named: bool) -> None:
    """The operator may not read Secrets: it knows only what works for other runs of the namespace."""
    play = Play(a_run().spec(storage={"credentials": {"secretName": missing}}))
    play.others = {"default/base": neighbour("base", {}, ready=ready)}
    play.step()
    fail_to_mount(play, "tire-prep-1", MOUNT.format(missing))
    play.step(3)
    assert (MEANT in play.condition("Prepared")["message"]) is named


@pytest.mark.parametrize("status", [{"conditions": "none"}, {"conditions": ["none"]}, {"conditions": [None]}])
def test_a_neighbour_with_a_broken_status_stops_nobody(status: Any) -> None:
    play = Play()
    play.others = {"default/broken": a_run("broken").status(**status).build()}
    play.step()
    fail_to_mount(play, "tire-prep-1")
    play.step(3)
    assert play.condition("Prepared")["reason"] == "SecretMissing"


NO_ACCOUNT = (
    'FailedCreate: Error creating: pods "tire-prep-1-" is forbidden: error looking up service account '
    'default/trainingrun-s4: serviceaccount "trainingrun-s4" not found'
)
KEYLESS = {"credentials": {"serviceAccountName": "trainingrun-s4"}}


def without_account() -> Play:
    """A run whose Jobs get no pod, because there is no such ServiceAccount."""
    play = Play(a_run().spec(storage=KEYLESS))
    play.settings = replace(SETTINGS, policy=Policy(service_accounts=("*",), sts_endpoints=("*",)))
    play.others = {"default/base": neighbour("base", {"credentials": {"serviceAccountName": "trainingrun-s3"}})}
    play.step()
    play.hints = {play.jobs["tire-prep-1"].uid: NO_ACCOUNT}
    play.step(3)
    return play


def test_a_service_account_is_waited_for_like_a_secret() -> None:
    play = without_account()
    assert play.status["progress"]["text"] == "Preparing: waiting (ServiceAccountMissing)"
    message = play.status["message"]
    assert "kubectl create serviceaccount trainingrun-s4." in message
    assert "another spec.storage.credentials.serviceAccountName" in message
    assert MEANT in message
    play.step(20)
    again = play.attempts("prep")["nextRetryAt"]
    assert (play.jobs, play.condition("Prepared")["reason"]) == ({}, "ServiceAccountMissing")
    assert play.status["message"].endswith(
        f"Until attempt 2 looks for it again at {again}, the run holds no CPU, memory or GPU."
    )
    assert "failures" not in play.attempts("prep")


def test_the_run_goes_on_once_the_service_account_exists() -> None:
    """The Job controller itself would try again ever more rarely, at last every six minutes."""
    play = without_account()
    play.step(20)
    play.step(31)
    assert list(play.jobs) == ["tire-prep-2"]
    assert play.condition("Prepared")["reason"] == "ServiceAccountMissing"
    play.start_pod("tire-prep-2")
    play.step(1)
    assert play.condition("Prepared")["reason"] == "Running"


def test_a_secret_that_the_cluster_added_is_not_one_of_the_spec() -> None:
    play = Play()
    play.others = {"default/base": neighbour("base", {})}
    play.step()
    fail_to_mount(play, "tire-prep-1", 'FailedMount: secret "trainingrun-s4" not found')
    play.step(3)
    assert "Did you mean" not in play.status["message"]
