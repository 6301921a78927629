"""Random lives of runs: what the status says is true at every step, and a restart of the operator changes nothing."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api import clock
from trainingrun.api.names import Stage
from trainingrun.domain import history
from trainingrun.domain.assess import is_alive
from trfakes.builders import SETTINGS, START, a_run
from trfakes.play import Play
from trfakes.schema import crd_part, errors

LIVES = 25
STEPS = 60
OUTCOMES = (
    "succeeded",
    "succeeded",
    "succeeded",
    "interrupted",
    "crash",
    "storageOutage",
    "storageRefused",
    "diverged",
    "outOfMemory",
)
OPTIONS = {
    "train": {"gpus": 1, "onDivergence": "Rollback", "onOutOfMemory": "HalveBatch", "retries": {"outOfMemory": 2}},
    "export": {"gate": {"minAP50": 0.8}},
    "activeDeadlineSeconds": 3000,
}
NO_SECRET = 'FailedMount: MountVolume.SetUp failed for volume "credentials" : secret "trainingrun-s3" not found'
NEWER = replace(SETTINGS, agent_image="agent:2", trainer_image="trainer:2", tensorboard_image="tensorboard:2")


class RandomLife:
    """A run to which anything happens that can happen to a run."""

    def __init__(self, seed: int) -> None:
        self.play, self.random = Play(), random.Random(seed)  # noqa: S311
        self.step = 0

    def act(self) -> None:
        """Let one thing happen, and let the operator look."""
        self.step += 1
        possible: list[Callable[[], None]] = [self.wait, self.suspend, self.finish, self.retry]
        possible += [self.lose_config_map, self.lose_board]
        job = next(reversed(self.play.jobs), "")
        if job and not self.play.jobs[job].finished:
            pod = self.play.pods.get(job)
            if pod is None or pod.gone:
                possible += [lambda: self.start(job), lambda: self.pend(job), lambda: self.lack_secret(job)] * 3
            elif pod.started:
                possible += [lambda: self.report(job), lambda: self.end(job)] * 4
                possible += [lambda: self.delete_pod(job), lambda: self.evict(job)]
            else:
                possible += [lambda: self.start(job)] * 3
        for name, pod in self.play.pods.items():
            if not pod.gone and (pod.deletion_at or name not in self.play.jobs):
                possible += [lambda name=name: self.vanish(name)] * 3  # type: ignore[misc]
        self.random.choice(possible)()
        self.play.step(self.random.choice((0, 1, 1, 5, 20)))

    def wait(self) -> None:
        self.play.step(self.random.choice((10, 60, 600)))

    def suspend(self) -> None:
        self.play.spec(suspend=not self.play.run.spec["suspend"])

    def finish(self) -> None:
        self.play.spec(finish=not self.play.run.spec.get("finish"))

    def retry(self) -> None:
        self.play.spec(retry=self.play.run.spec["retry"] + 1)

    def lose_config_map(self) -> None:
        self.play.document = None
        self.restart(self.play, self.random.choice((SETTINGS, SETTINGS, NEWER)))

    def pend(self, job: str) -> None:
        self.play.start_pod(job, phase="Pending", scheduled_at="", containers={}, unschedulable="no GPU")

    def lack_secret(self, job: str) -> None:
        """Sometimes for so long that the attempt is given up."""
        pod = self.play.start_pod(job, uid=f"{job}-{self.step}", phase="Pending", containers={})
        self.play.hints = {pod.uid: NO_SECRET}
        self.play.step(5)
        self.play.step(self.random.choice((1, 20)))

    def lose_board(self) -> None:
        self.play.board_lost = "serviceName" in self.play.status.get("tensorboard", {})
        self.play.step()
        self.play.board_lost = False

    def evict(self, job: str) -> None:
        """Without a verdict, and sometimes without words."""
        words = self.random.choice(("", "The node was low on resource: memory. "))
        self.play.end_pod(job, "crash")
        self.play.change_pod(job, reason="Evicted", message=words)

    def start(self, job: str) -> None:
        self.play.start_pod(job, uid=f"{job}-{self.step}")

    def report(self, job: str) -> None:
        ready = self.random.random() < 0.7
        storage = {"ready": ready} if ready else {"ready": ready, "reason": "OutageX", "message": "no answer"}
        self.play.progress = {
            "podUID": self.play.pods[job].uid,
            "phase": "training",
            "step": self.step,
            "steps": 1000,
            "done": self.step,
            "total": 1000,
            "checkpointStep": self.step // 2,
            "source": "agent",
            **({"storage": storage} if self.random.random() < 0.5 else {}),
        }

    def end(self, job: str) -> None:
        numbers = {"step": self.step, "steps": 1000, "checkpointStep": self.step}
        outcome = self.random.choice(OUTCOMES)
        self.play.end_pod(job, outcome, **({} if outcome == "succeeded" else {"numbers": numbers}))

    def delete_pod(self, job: str) -> None:
        self.play.change_pod(job, deletion_at=clock.to_text(self.play.now))

    def vanish(self, name: str) -> None:
        if self.random.random() < 0.7 and not self.play.pods[name].done:
            self.play.end_pod(
                name, "interrupted", numbers={"step": self.step, "steps": 1000, "checkpointStep": self.step}
            )
        self.play.change_pod(name, gone=True)

    @staticmethod
    def restart(play: Play, settings: object = None) -> None:
        play.restart(settings or play.settings)  # type: ignore[arg-type]


def check_truth(play: Play) -> None:
    """What the status says now agrees with the Jobs and pods that are there."""
    status = play.status
    assert errors(crd_part("status"), dict(status)) == []
    after = play.settings.lost_pod_seconds
    running = [pod for pod in play.pods.values() if pod.started and is_alive(pod, now=play.now, lost_after=after)]
    finished = play.condition("Finished").get("status") == "True"
    for stage, kind in ((Stage.PREP, "Prepared"), (Stage.TRAIN, "Trained"), (Stage.EXPORT, "Exported")):
        condition, entry = play.condition(kind), play.attempts(stage)
        in_flight = entry.get("number", 0) > entry.get("ended", 0)
        if condition.get("reason") in {"Running", "AttemptStarted", "PodUnschedulable", "ContainerCreating"}:
            assert in_flight, (kind, condition)
        if condition.get("reason") in {"Suspended", "AttemptDelayed", "Resumed"}:
            assert not in_flight, (kind, condition)
        if "jobUID" in entry:
            assert in_flight or condition["reason"] in {"Suspending", "Finishing"}, (kind, condition, entry)
        if "ranAt" in entry:
            assert in_flight, entry
    if status["phase"] == "Suspended":
        assert running == []
    if finished:
        assert "finishedAt" in status
        assert status["phase"] in {"Succeeded", "Failed"}
    if "source" in status["progress"]:
        assert running, status["progress"]


def check_restart(play: Play) -> None:
    """An operator that starts now decides what the one that runs decides, also when the agent has answered it."""
    runs_on, restarted = copy.deepcopy(play), copy.deepcopy(play)
    RandomLife.restart(restarted)
    for seconds in (0, 1):
        before = len(restarted.events)
        runs_on.step(seconds)
        restarted.step(seconds)
        assert restarted.status == runs_on.status
        assert restarted.events[before:] == runs_on.events[before:]
        restarted.progress = runs_on.progress


def sums(status: Mapping[str, Any]) -> dict[str, int]:
    """Everything that only grows."""
    training = status.get("training", {})
    counted: dict[str, int] = {name: training.get(name, 0) for name in ("stepsLost", "interruptions")}
    counted |= training.get("gpuSeconds", {})
    return counted | {entry["stage"]: history.count(entry) for entry in status.get("attempts", [])}


def check_accounts(play: Play, before: Mapping[str, Any]) -> None:
    """Each attempt that is over is among the ends, once; no sum falls, and GPUs are held no longer than time passed."""
    for entry in play.status.get("attempts", []):
        suspending = "jobUID" in entry and entry["number"] == entry.get("ended", 0)
        assert history.count(entry) == entry.get("ended", 0) - suspending, entry
        numbers = [end["number"] for end in entry.get("history", [])]
        assert numbers == sorted(set(numbers)), entry
    now = sums(play.status)
    assert {name: value for name, value in sums(before).items() if now[name] < value} == {}
    held = sum(now.get(kind, 0) for kind in ("useful", "lost", "waiting"))
    assert held <= (play.now - START).total_seconds() + 1  # it has one GPU; each attempt is rounded


def check_rest(play: Play) -> None:
    """Where nothing happens any more, decisions end: a new Job is created, shown, and then nothing is written."""
    quiet = copy.deepcopy(play)
    made: list[object] = []
    while len(made) < 2 or made[-1] != made[-2]:
        assert len(made) < 5, made[-2:]
        quiet.step()
        made.append((quiet.status, list(quiet.created), list(quiet.events)))


@pytest.mark.parametrize("seed", range(LIVES))
def test_what_a_run_says_is_true_and_survives_restarts(seed: int) -> None:
    life = RandomLife(seed)
    life.play.run = a_run().spec(**(OPTIONS if seed % 2 else {"train": {"gpus": 1}})).build()
    life.play.step()
    for _ in range(STEPS):
        before = life.play.status
        life.act()
        check_truth(life.play)
        check_accounts(life.play, before)
        check_rest(life.play)
        if life.random.random() < 0.3:
            check_restart(life.play)
