"""Whose word counts: each row of the table against each verdict of an agent, with the words of the real kubelet."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api import clock, reasons
from trainingrun.api.names import Stage
from trainingrun.domain.deaths import CAUSES, exit_of
from trainingrun.domain.end_facts import CONDITIONS
from trainingrun.domain.judge import ROWS, judge
from trainingrun.domain.observe import JobView, PodView
from trainingrun.domain.verdicts import POLICIES, Outcome
from trfakes.builders import RUN_UID, START, a_job, a_pod, a_run, running, terminated
from trfakes.fake_cluster import verdict
from trfakes.play import Play

AT = clock.to_text(START)
CLAIMS = [*Outcome, None]
JOB = a_job(Stage.TRAIN)
SCRATCH = 'Usage of EmptyDir volume "shared" exceeds the limit "20Gi". '
OF_A_CONTAINER = 'Container trainer exceeded its local ephemeral storage limit "1Gi". '
OF_THE_POD = "Pod ephemeral local storage usage exceeds the total limit of containers 2Gi. "
TMP = 'Usage of EmptyDir volume "tmp-trainer" exceeds the limit "1Gi". '
NODE_DISK = (
    "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 9Gi. Container trainer was "
    "using 2Gi, request is 0, has larger consumption of ephemeral-storage. "
)
NODE_MEMORY = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 68Mi. "
STARTED = 'exec: "python3": executable file not found in $PATH'


def claimed(outcome: Outcome | None, **fields: Any) -> Any:
    """An agent that has ended with this verdict, or by SIGKILL without one."""
    if outcome is None:
        return terminated(exit_code=137, reason="Error")
    made = verdict("train", str(outcome), message="The agent's word.", **fields)
    return terminated(json.dumps(made), exit_code=int(outcome is not Outcome.SUCCEEDED))


def train_pod(claim: Outcome | None, trainer: Any = None, **fields: Any) -> PodView:
    containers = {"agent": claimed(claim), "trainer": trainer or running()}
    return a_pod(Stage.TRAIN, **{"containers": containers, "phase": "Failed", "node": "n1", **fields})


def pod_is(reason: str, message: str = "", **fields: Any) -> Callable[[Outcome | None], tuple[JobView, PodView]]:
    return lambda claim: (JOB, train_pod(claim, reason=reason, message=message, **fields))


def condition(name: str, **fields: Any) -> Callable[[Outcome | None], tuple[JobView, PodView]]:
    return lambda claim: (JOB, train_pod(claim, disruption=name, disruption_message="because", **fields))


def trainer_is(code: int, reason: str = "Error") -> Callable[[Outcome | None], tuple[JobView, PodView]]:
    return lambda claim: (JOB, train_pod(claim, terminated(exit_code=code, reason=reason)))


def deleted(job: JobView | None) -> Callable[[Outcome | None], tuple[JobView | None, PodView]]:
    return lambda claim: (job, train_pod(claim, deletion_at=AT))


BOTH = "TerminationByKubelet"
VAGUE = {Outcome.INTERRUPTED, Outcome.CRASH, None}
UNEXPLAINED = {Outcome.CRASH, None}
# What is seen, its reason, its outcome, and the verdicts that it overrules.
FACTS: Mapping[str, tuple[Any, str, Outcome, set[Outcome | None]]] = {
    "own scratch": (pod_is("Evicted", SCRATCH), "DiskFull", Outcome.DISK_FULL, set(CLAIMS) - {Outcome.SUCCEEDED}),
    "own scratch, while it is drained": (
        pod_is("Evicted", SCRATCH, disruption="EvictionByEvictionAPI", deletion_at=AT),
        "DiskFull",
        Outcome.DISK_FULL,
        set(CLAIMS) - {Outcome.SUCCEEDED},
    ),
    "own limit of a container": (
        pod_is("Evicted", OF_A_CONTAINER), "DiskFull", Outcome.DISK_FULL, set(CLAIMS) - {Outcome.SUCCEEDED}
    ),
    "own limit of the pod": (
        pod_is("Evicted", OF_THE_POD), "DiskFull", Outcome.DISK_FULL, set(CLAIMS) - {Outcome.SUCCEEDED}
    ),
    "own limit of /tmp": (pod_is("Evicted", TMP), "DiskFull", Outcome.DISK_FULL, set(CLAIMS) - {Outcome.SUCCEEDED}),
    "trainer out of memory": (trainer_is(137, "OOMKilled"), "OOMKilled", Outcome.OUT_OF_MEMORY, UNEXPLAINED),
    "child out of memory, exit code 0": (trainer_is(0, "OOMKilled"), "OOMKilled", Outcome.OUT_OF_MEMORY, UNEXPLAINED),
    "node short of disk": (pod_is("Evicted", NODE_DISK, disruption=BOTH), "Evicted", Outcome.INTERRUPTED, VAGUE),
    "node short of memory": (pod_is("Evicted", NODE_MEMORY, disruption=BOTH), "Evicted", Outcome.INTERRUPTED, VAGUE),
    "critical pod": (
        pod_is("Preempting", "Preempted in order to admit critical pod", disruption=BOTH),
        "Preempting",
        Outcome.INTERRUPTED,
        VAGUE,
    ),
    "node shut down": (
        pod_is("Terminated", "Pod was terminated in response to imminent node shutdown.", disruption=BOTH),
        "Terminated",
        Outcome.INTERRUPTED,
        VAGUE,
    ),
    "node shutting down": (
        pod_is("NodeShutdown", "Pod was rejected as the node is shutting down."),
        "NodeShutdown",
        Outcome.INTERRUPTED,
        VAGUE,
    ),
    "node shut down, before Kubernetes 1.22": (pod_is("Shutdown", "x"), "Shutdown", Outcome.INTERRUPTED, VAGUE),
    "node lost": (pod_is("NodeLost", "Node n1 is unresponsive"), "NodeLost", Outcome.INTERRUPTED, VAGUE),
    **{name.name: (condition(name.name), name.name, Outcome.INTERRUPTED, VAGUE) for name in CONDITIONS},
    "condition of a Kubernetes to come": (condition("EvictionByRobot"), "EvictionByRobot", Outcome.INTERRUPTED, VAGUE),
    "deadline of the pod": (
        pod_is("DeadlineExceeded", "Pod was active on the node longer than the specified deadline"),
        "DeadlineExceeded",
        Outcome.INTERRUPTED,
        VAGUE,
    ),
    "deadline of the Job": (
        lambda claim: (replace(JOB, failure="DeadlineExceeded"), train_pod(claim, deletion_at=AT)),
        "DeadlineExceeded",
        Outcome.INTERRUPTED,
        VAGUE,
    ),
    "pod deleted": (deleted(JOB), "PodDeleted", Outcome.INTERRUPTED, VAGUE),
    "Job deleted": (deleted(None), "JobGone", Outcome.INTERRUPTED, VAGUE),
    "Job being deleted": (deleted(replace(JOB, deleting=True)), "JobGone", Outcome.INTERRUPTED, VAGUE),
    "node lost the trainer": (
        trainer_is(137, "ContainerStatusUnknown"), "ContainerStatusUnknown", Outcome.INTERRUPTED, UNEXPLAINED
    ),
    "CPU lacks an instruction": (trainer_is(132), "IllegalInstruction", Outcome.USER_ERROR, {Outcome.CRASH}),
}  # fmt: skip


@pytest.mark.parametrize("claim", CLAIMS, ids=str)
@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_overrules_just_the_verdicts_of_its_row(fact: str, claim: Outcome | None) -> None:
    build, reason, outcome, overrules = FACTS[fact]
    found = judge(*build(claim))
    if claim in overrules:
        assert (found.outcome, found.reason.name) == (outcome, reason)
        assert found.message.startswith(("Pod tire-train-1-x1 ", "Job ", "Container ", "Node "))
    else:
        assert found.outcome is (claim or Outcome.CRASH)
        assert "The agent's word." in found.message or claim is None


def test_every_row_has_a_fact_here() -> None:
    seen = {(outcome, reason) for _, reason, outcome, _ in FACTS.values()}
    in_rows = {(row.outcome, entry.name) for row in ROWS for entry in row.reasons}
    elsewhere = {
        (Outcome.CRASH, "NoVerdict"),
        (Outcome.DISK_FULL, "NodeDiskFull"),
        (Outcome.INTERRUPTED, "RefusedByNode"),
    }
    assert in_rows - seen == elsewhere


def test_nothing_overrules_success() -> None:
    assert not any(Outcome.SUCCEEDED in row.overrules for row in ROWS)


def test_the_numbers_of_the_agent_are_kept_and_where_it_was_when_it_was_asked_to_end() -> None:
    agent = terminated(
        json.dumps(verdict("train", "interrupted", message="SIGTERM arrived at step 41.", numbers={"step": 41})),
        exit_code=1,
    )
    found = judge(JOB, train_pod(None, containers={"agent": agent}, reason="Evicted", message=SCRATCH))
    assert found.message == (
        'Pod tire-train-1-x1 was evicted: Usage of EmptyDir volume "shared" exceeds the limit "20Gi". '
        "SIGTERM arrived at step 41."
    )
    assert (found.numbers, found.hint, found.next_step) == ({"step": 41}, "", None)


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        (
            "UnexpectedAdmissionError",
            "Allocate failed due to no healthy devices present; cannot allocate nvidia.com/gpu",
        ),
        ("OutOfcpu", "Node didn't have enough resource: cpu, requested: 2000, used: 1500, capacity: 2000"),
        ("NodeAffinity", "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match"),
    ],
)
def test_a_pod_that_its_node_refused_is_no_crash(reason: str, message: str) -> None:
    found = judge(JOB, train_pod(None, containers={}, reason=reason, message=message))
    assert (found.outcome, found.reason) == (Outcome.INTERRUPTED, reasons.REFUSED_BY_NODE)
    assert found.message == f"Node n1 refused pod tire-train-1-x1: {reason}: {message}"


@pytest.mark.parametrize("reason", ["TrainerDied", "ExporterDied"])
def test_a_silent_death_shows_exit_code_and_signal_with_the_agents_words(reason: str) -> None:
    said = 'Container trainer ended without done.json at step 3 of 9. Its last line: "F cudnn.cc:1 Check failed"'
    agent = terminated(
        json.dumps(verdict("train", "crash", reason=reason, message=said, hint="See the log.")), exit_code=1
    )
    trainer = terminated(exit_code=139, reason="Error")
    found = judge(JOB, train_pod(None, containers={"agent": agent, "trainer": trainer}))
    assert (found.outcome, found.reason.name, found.hint) == (Outcome.CRASH, reason, "See the log.")
    assert found.message == (
        "Container trainer of pod tire-train-1-x1 ended with exit code 139 (SIGSEGV: an invalid memory access). "
        f"{said}."
    )


def test_an_error_that_the_trainer_reported_needs_no_exit_code() -> None:
    said = "KeyError: 'x'"
    agent = terminated(json.dumps(verdict("train", "crash", reason="Exception", message=said)), exit_code=1)
    found = judge(JOB, train_pod(None, containers={"agent": agent, "trainer": terminated(exit_code=1, reason="Error")}))
    assert found.message == said


@pytest.mark.parametrize(
    ("container", "text"),
    [
        *[
            (terminated(exit_code=code, reason="Error"), f"exit code {code} ({cause})")
            for code, cause in CAUSES.items()
        ],
        (terminated(exit_code=128, reason="StartError"), "exit code 128 (StartError)"),
        (terminated(exit_code=127, reason="ContainerCannotRun"), "exit code 127 (ContainerCannotRun)"),
        (terminated(exit_code=138, reason="Error"), "exit code 138 (SIGUSR1)"),
        (terminated(exit_code=255, reason="Error"), "exit code 255 (Error)"),
        (terminated(exit_code=1), "exit code 1 (no reason)"),
        (running(), "an unknown exit code"),
        (terminated(exit_code=0, reason="Completed"), "exit code 0 (Completed)"),
    ],
)
def test_an_exit_code_is_explained(container: Any, text: str) -> None:
    assert exit_of(container) == text


GONE = [
    ({"finished": "Failed", "failure": "BackoffLimitExceeded", "pod_ended": True}, "PodGone", "node was drained"),
    ({"finished": "Failed", "failure": "BackoffLimitExceeded"}, "PodGone", "saw no pod of it"),
    ({"finished": "Failed", "failure": "DeadlineExceeded", "pod_ended": True}, "DeadlineExceeded", "activeDeadline"),
    ({"deleting": True}, "JobGone", "Job was deleted"),
]


@pytest.mark.parametrize(("job", "reason", "words"), GONE)
def test_an_attempt_without_a_pod_is_explained_without_the_jargon_of_jobs(
    job: dict[str, Any], reason: str, words: str
) -> None:
    found = judge(replace(JOB, **job), None)
    assert (found.outcome, found.reason.name) == (Outcome.INTERRUPTED, reason)
    assert words in found.message
    assert "backoff" not in found.message


@pytest.mark.parametrize("condition", ["Failed", "FailureTarget"])
def test_why_a_job_fails_is_known_from_both_of_its_conditions(condition: str) -> None:
    labels = {f"trainingrun.dev/{name}": value for name, value in LABELS.items()}
    meta = {"name": "tire-train-1", "namespace": "default", "uid": "u", "labels": labels}
    status = {"conditions": [{"type": condition, "status": "True", "reason": "DeadlineExceeded"}]}
    job = JobView.from_object({"metadata": meta, "status": status})
    assert job is not None
    assert job.failure == "DeadlineExceeded"


LABELS = {"run": "tire", "run-uid": RUN_UID, "stage": "train", "attempt": "1"}


# What the table means for a run.


def ended(stage: Stage, outcome: str, trainer: Any = None, **pod: Any) -> Play:
    """A run whose newest attempt ends with this verdict, and with a checkpoint that has advanced."""
    play = Play(a_run())
    job = play.play_to(stage)
    numbers = {"checkpointStep": 40} if stage is Stage.TRAIN else {}
    play.end_pod(job, outcome, message="SIGTERM arrived at step 41.", numbers=numbers)
    if trainer:
        play.change_pod(job, containers={**play.pods[job].containers, "trainer": trainer})
    play.change_pod(job, phase="Failed", **pod)
    play.step(10)
    return play


@pytest.mark.parametrize("stage", [Stage.PREP, Stage.TRAIN])
def test_a_pod_that_outgrew_its_scratch_is_tried_once_although_its_agent_says_interrupted(stage: Stage) -> None:
    play = ended(stage, "interrupted", reason="Evicted", message=SCRATCH)
    entry = play.attempts(stage)
    assert (entry["number"], entry["lastOutcome"], entry["lastReason"]) == (1, "diskFull", "DiskFull")
    assert play.status["phase"] == "Failed"
    assert f"Create a new TrainingRun with spec.{stage}.scratch: 40Gi (now 20Gi)." in play.status["message"]
    assert POLICIES[Outcome.DISK_FULL].retries == 0


def test_a_kubelet_that_evicts_says_why_only_when_every_container_has_ended() -> None:
    """Until then the agent, which was asked to end, is the only one who speaks."""
    play = Play()
    job = play.play_to(Stage.TRAIN)
    pod = play.start_pod(job)
    said = terminated(json.dumps(verdict("train", "interrupted")), exit_code=1, at=play.now)
    play.change_pod(job, containers={**pod.containers, "agent": said})
    play.step(20)
    assert "ended" not in play.attempts("train")
    over = {"agent": said, "trainer": terminated(exit_code=137, at=play.now)}
    play.change_pod(job, containers=over, phase="Failed", reason="Evicted", message=SCRATCH)
    play.step(1)
    assert play.attempts("train")["lastReason"] == "DiskFull"


def test_an_agent_that_is_asked_to_end_for_no_known_cause_is_believed_after_a_while() -> None:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    pod = play.start_pod(job)
    said = terminated(json.dumps(verdict("train", "interrupted")), exit_code=1, at=play.now)
    play.change_pod(job, containers={**pod.containers, "agent": said, "mesh": running()})
    play.step(31)
    assert play.attempts("train")["lastReason"] == "Interrupted"


@pytest.mark.parametrize(
    ("message", "step"),
    [(TMP, "Ask your platform team what fills this volume"), (OF_THE_POD, "raise the limit of ephemeral-storage")],
)
def test_another_limit_of_the_disk_is_not_blamed_on_scratch(message: str, step: str) -> None:
    play = ended(Stage.TRAIN, "interrupted", reason="Evicted", message=message)
    assert step in play.status["message"]
    assert "scratch:" not in play.status["message"]


def test_a_node_without_disk_is_an_interruption() -> None:
    play = ended(Stage.TRAIN, "interrupted", reason="Evicted", message=NODE_DISK, disruption=BOTH)
    assert (play.attempts("train")["lastOutcome"], play.attempts("train")["lastReason"]) == ("interrupted", "Evicted")
    assert play.created[-1] == "tire-train-2"


def test_a_cpu_that_lacks_an_instruction_names_the_node_selector() -> None:
    play = ended(Stage.TRAIN, "crash", terminated(exit_code=132, reason="Error"))
    assert play.condition("Succeeded")["reason"] == "IllegalInstruction"
    assert "Create a new TrainingRun with a spec.train.pod.nodeSelector" in play.status["message"]


def before_it_began(trainer: Any, **pod: Any) -> Play:
    """The trainer has ended before it took its lock, so the agent waits for it."""
    play = Play()
    job = play.play_to(Stage.TRAIN)
    running_pod = play.start_pod(job)
    play.change_pod(job, containers={**running_pod.containers, "trainer": trainer}, **pod)
    play.progress = {"podUID": running_pod.uid, "phase": "waitingForTrainer"}
    play.step(16)
    return play


BEFORE = [
    (terminated(exit_code=137, reason="OOMKilled"), "outOfMemory", "OOMKilled", "ran out of memory"),
    (terminated(exit_code=137, reason="Error"), "outOfMemory", "OOMKilled", "most likely it ran out of memory"),
    (terminated(exit_code=132, reason="Error"), "userError", "IllegalInstruction", "SIGILL"),
    (terminated(STARTED, exit_code=128, reason="StartError"), "crash", "TrainerNeverStarted", STARTED),
    (terminated(exit_code=126, reason="Error"), "crash", "TrainerNeverStarted", "its program cannot be executed"),
    (terminated(exit_code=139, reason="Error"), "crash", "TrainerNeverStarted", "SIGSEGV"),
]


@pytest.mark.parametrize(("trainer", "outcome", "reason", "words"), BEFORE)
def test_a_trainer_that_ends_before_its_first_sign_of_life_is_explained(
    trainer: Any, outcome: str, reason: str, words: str
) -> None:
    play = before_it_began(trainer)
    entry = play.attempts("train")
    assert (entry["lastOutcome"], entry["lastReason"]) == (outcome, reason)
    assert words in entry["lastMessage"]


def test_a_trainer_that_ends_because_its_pod_is_deleted_has_not_failed_to_start() -> None:
    play = before_it_began(
        terminated(exit_code=143, reason="Error"), deletion_at=clock.to_text(START.replace(year=2027))
    )
    assert play.attempts("train").get("lastReason") is None


@pytest.mark.parametrize("phase", [[], {"waitingForTrainer": 1}, 1e308, None])
def test_a_phase_of_any_type_stops_no_decision(phase: object) -> None:
    play = before_it_began(running())
    play.progress["phase"] = phase
    play.change_pod("tire-train-1", containers={"agent": running(), "trainer": terminated(exit_code=1)})
    play.step(16)
    assert play.condition("Trained")["reason"] == "Running"


WITHOUT_WORDS: dict[str, Any] = {
    **{name: {"reason": name} for name in ("Evicted", "NodeLost")},
    "disrupted": {"disruption": "EvictionByEvictionAPI"},
    "refused": {"reason": "OutOfcpu", "containers": {}},
    "unknown": {"containers": {"agent": running(), "trainer": terminated(reason="ContainerStatusUnknown")}},
}


@pytest.mark.parametrize("fields", WITHOUT_WORDS.values(), ids=WITHOUT_WORDS)
def test_an_end_that_kubernetes_does_not_explain_is_a_whole_sentence(fields: dict[str, Any]) -> None:
    assert re.search(r"\w\.$", judge(JOB, train_pod(None, **fields)).message)


def test_the_words_of_the_kubelet_leave_no_space_at_the_end() -> None:
    assert judge(JOB, train_pod(None, reason="Evicted", message=NODE_MEMORY)).message.endswith("available: 68Mi.")
