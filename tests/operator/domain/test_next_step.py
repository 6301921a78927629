"""The end of a failed run's message: the step that helps, its values, and the commands for it."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun.api.names import Stage
from trainingrun.api.reason import Step
from trainingrun.domain import reported
from trainingrun.domain.draft import MAX_MESSAGE
from trainingrun.domain.quantities import doubled
from trainingrun.domain.reported import ClaimedStep
from trdemo import next_step
from trfakes.builders import RunBuilder, a_run, terminated
from trfakes.play import Play

PATCH = 'kubectl -n default patch trainingrun tire --type merge -p \'{"spec":{"retry":1}}\''
COPY = "kubectl -n default get trainingrun tire -o yaml | grep -v resourceVersion: > new.yaml"
CREATE = f"To create the new run: (1) {COPY} (2) edit metadata.name and the fields there (3) kubectl create -f new.yaml"
WITH_DATA = f"The prepared data set is used again. {CREATE}"
AGAIN = f"To try again: {PATCH}"
TEN_GB = {"resources": {"limits": {"memory": "10G"}}}


def failed(outcome: str, *, stage: Stage = Stage.TRAIN, builder: RunBuilder | None = None, **verdict: Any) -> str:
    """The message of a run whose stage ended with this verdict until its attempts were used up."""
    play = Play(builder)
    job = play.play_to(stage)
    while play.status["phase"] != "Failed":
        play.end_pod(job, outcome, **{"reason": "SomeReason", "message": "What happened.", **verdict})
        play.step()
        play.step(600)
        job = play.created[-1]
    return play.status["message"].removeprefix("What happened. ")


def killed(
    container: str, *, stage: Stage = Stage.TRAIN, builder: RunBuilder | None = None, said: str = "", **pod: Any
) -> str:
    """The message of a run with a container that was killed for memory, in each attempt."""
    play = Play(builder)
    job = play.play_to(stage)
    while play.status["phase"] != "Failed":
        view = play.start_pod(job, phase="Failed", **pod)
        over = terminated(said, reason="OOMKilled", exit_code=137) if container else terminated(exit_code=137)
        play.change_pod(job, containers={**view.containers, container or "agent": over})
        play.step()
        play.step(600)
        job = play.created[-1]
    return play.status["message"]


CLAIMS = {
    "retry": ({"kind": "retry"}, f"Upload it. {AGAIN}"),
    "new run": ({"kind": "newRun", "field": "train.steps"}, f"Upload it. {WITH_DATA}"),
    "platform": ({"kind": "platform"}, f"Upload it. After that, try again: {PATCH}"),
    "wait": ({"kind": "wait"}, f"Upload it. {AGAIN}"),
}


@pytest.mark.parametrize(("claim", "end"), CLAIMS.values(), ids=CLAIMS)
def test_the_agent_says_which_step_helps(claim: dict[str, str], end: str) -> None:
    assert failed("storageRefused", hint="Upload it.", nextStep=claim) == end


def test_a_hint_about_the_next_attempt_is_not_shown_when_there_is_none() -> None:
    message = failed("interrupted", hint="Nothing to do: the next attempt follows.", nextStep={"kind": "wait"})
    assert message == f"This happened too often: find out what keeps ending the pods. {AGAIN}"


def test_a_hint_that_was_left_out_is_made_from_the_field() -> None:
    claim = {"kind": "newRun", "field": "dataset.classes", "value": "[Tire]", "try": "[tire]"}
    assert failed("userError", nextStep=claim) == (
        f"Create a new TrainingRun with spec.dataset.classes: [tire] (now [Tire]). {CREATE}"
    )


def test_the_operator_adds_values_that_the_agent_does_not_know() -> None:
    claim = {"kind": "newRun", "field": "prep.scratch"}
    hint = "Create a new TrainingRun with a higher spec.prep.scratch."
    message = failed("diskFull", stage=Stage.PREP, hint=hint, nextStep=claim)
    assert message == f"{hint} It is 20Gi now: try 40Gi. {CREATE}"


def test_without_a_memory_limit_no_higher_limit_is_asked_for() -> None:
    claim = {"kind": "newRun", "field": "train.pod.resources.limits.memory"}
    hint = "Create a new TrainingRun with a higher spec.train.pod.resources.limits.memory."
    message = failed("outOfMemory", hint=hint, nextStep=claim)
    assert (
        message == f"Create a new TrainingRun with spec.train.pod.resources.requests.memory: 4Gi (now 2Gi). {WITH_DATA}"
    )


# How messages end for verdicts of older agents, which have no nextStep.
OLDER = {
    "userError": CREATE,
    "storageRefused": AGAIN,
    "storageOutage": AGAIN,
    "diverged": CREATE,
    "stalled": AGAIN,
    "outOfMemory": CREATE,
    "diskFull": CREATE,
    "interrupted": AGAIN,
    "crash": AGAIN,
    "gpuUnfit": CREATE,
}


@pytest.mark.parametrize(("outcome", "end"), OLDER.items())
def test_without_a_next_step_the_outcome_decides(outcome: str, end: str) -> None:
    message = failed(outcome)
    assert message.endswith(f". {end}")
    assert len(message) > len(end) + 20
    if outcome != "interrupted":
        assert failed(outcome, hint="Do this.") == f"Do this. {end}"


def test_preparation_out_of_memory_is_not_told_to_lower_the_batch_size() -> None:
    """The agent's hint is the first text that a long verdict leaves out."""
    message = failed("outOfMemory", stage=Stage.PREP, nextStep={"kind": "platform"})
    assert message.startswith("Create a new TrainingRun with a higher memory limit for this stage.")
    assert "batch" not in killed("agent", stage=Stage.PREP)


def test_a_file_that_preparation_was_killed_at_is_looked_at_first() -> None:
    message = killed("agent", stage=Stage.PREP, said="reading photos/a.png".ljust(255))
    assert "ran out of memory while it read photos/a.png. Look at what it read first: if that is damaged" in message
    assert "create a new TrainingRun with spec.prep.pod.resources.limits.memory: 2Gi (now 1Gi)" in message


MEMORY: dict[str, tuple[str, Stage, RunBuilder, str]] = {
    "limit and batch size": (
        "trainer",
        Stage.TRAIN,
        a_run().spec(train={"batchSize": 512, "pod": {"resources": {"limits": {"memory": "1Gi"}}}}),
        "spec.train.pod.resources.limits.memory: 2Gi (now 1Gi), or with spec.train.batchSize: 256 (now 512).",
    ),
    "batch of one image": (
        "trainer",
        Stage.TRAIN,
        a_run().spec(train={"batchSize": 1, "pod": TEN_GB}),
        "spec.train.pod.resources.limits.memory: 20G (now 10G).",
    ),
    "no limit": (
        "trainer",
        Stage.TRAIN,
        a_run().spec(train={"batchSize": 1}),
        "spec.train.pod.resources.requests.memory: 4Gi (now 2Gi).",
    ),
    "exporter": (
        "exporter",
        Stage.EXPORT,
        a_run().spec(export={"pod": TEN_GB}),
        "spec.export.pod.resources.limits.memory: 20G (now 10G).",
    ),
    "prep": ("agent", Stage.PREP, a_run(), "spec.prep.pod.resources.limits.memory: 2Gi (now 1Gi)."),
}


@pytest.mark.parametrize(("container", "stage", "builder", "change"), MEMORY.values(), ids=MEMORY)
def test_out_of_memory_names_the_limit_and_one_to_try(
    container: str, stage: Stage, builder: RunBuilder, change: str
) -> None:
    message = killed(container, stage=stage, builder=builder)
    what = f"Container {container} of pod tire-{stage}-2-x1 was killed because it ran out of memory."
    end = CREATE if stage is Stage.PREP else WITH_DATA
    assert message == f"{what} Create a new TrainingRun with {change} {end}"


def test_the_memory_limit_of_the_agent_is_set_by_the_platform_team() -> None:
    step = "Ask your platform team to raise runs.agent.resources.limits.memory of the operator's Helm values."
    assert f"{step} After that, try again: {PATCH}" in killed("agent")


def test_an_eviction_for_scratch_names_its_size() -> None:
    full = {"reason": "Evicted", "message": 'Usage of EmptyDir volume "shared" exceeds the limit "20Gi".'}
    message = killed("", **full)
    assert message.endswith(f"Create a new TrainingRun with spec.train.scratch: 40Gi (now 20Gi). {WITH_DATA}")


@pytest.mark.parametrize(
    ("train", "end"),
    [
        ({"image": "trainer:1"}, f"another spec.train.image (now trainer:1): a TrainingRun trainer image. {WITH_DATA}"),
        ({}, f"Then create a new TrainingRun: this one keeps its images. {CREATE}"),
    ],
    ids=["own image", "the operator's image"],
)
def test_a_trainer_that_never_started(train: dict[str, str], end: str) -> None:
    play = Play(a_run().spec(train=train))
    play.play_to(Stage.TRAIN)
    for number in range(1, 5):
        job = f"tire-train-{number}"
        pod = play.start_pod(job)
        play.change_pod(job, containers={**pod.containers, "trainer": terminated(exit_code=127, at=play.now)})
        play.progress = {"podUID": pod.uid, "phase": "waitingForTrainer"}
        play.step(20)
        play.pods.clear()
        play.step(600)
    assert play.status["message"].endswith(end)


LONG = "x" * 1400
HOSTILE: dict[str, tuple[object, ClaimedStep | None]] = {
    "no object": ("newRun", None),
    "no kind": ({"field": "train.steps"}, None),
    "unknown kind": ({"kind": "payMe"}, None),
    "kind of another type": ({"kind": ["retry"]}, None),
    "field that is no path": ({"kind": "newRun", "field": "$(reboot)"}, ClaimedStep(Step.NEW_RUN)),
    "field beyond every bound": ({"kind": "newRun", "field": "a" * 200}, ClaimedStep(Step.NEW_RUN)),
    "values of another type": (
        {"kind": "newRun", "field": "train.steps", "value": 5, "try": {}},
        ClaimedStep(Step.NEW_RUN, "train.steps"),
    ),
    "long values": (
        {"kind": "newRun", "field": "train.steps", "value": "5", "try": LONG},
        ClaimedStep(Step.NEW_RUN, "train.steps", "5", "x" * reported.MAX_VALUE),
    ),
}


@pytest.mark.parametrize(("value", "claim"), HOSTILE.values(), ids=HOSTILE)
def test_a_next_step_from_a_pod_is_checked_and_bounded(value: object, claim: ClaimedStep | None) -> None:
    assert reported.next_step(value) == claim
    assert len(failed("userError", nextStep=value)) <= MAX_MESSAGE


@pytest.mark.parametrize("reason", ["ForbiddenByPolicy", "OOMKilled", "TrainerNeverStarted", "PodUnschedulable"])
def test_a_pod_that_gives_a_reason_of_the_operator_ends_its_run_only(reason: str) -> None:
    assert failed("userError", reason=reason)


@pytest.mark.parametrize("kind", Step)
def test_message_hint_and_commands_fit_with_the_longest_names(kind: Step) -> None:
    play = Play(a_run("r" * 40))
    job = play.play_to(Stage.PREP)
    play.end_pod(job, "userError", message=LONG, hint=LONG[:600], nextStep={"kind": str(kind)})
    play.step()
    message = play.status["message"]
    assert len(message) <= MAX_MESSAGE
    assert message.startswith("x" * 100)
    assert message.endswith(("-f new.yaml", '{"spec":{"retry":1}}\''))


@pytest.mark.parametrize(
    ("quantity", "twice"),
    [
        ("1Gi", "2Gi"),
        ("512", "1024"),
        ("1.5G", "3G"),
        ("0.25Gi", "0.50Gi"),
        ("1e9", "2e9"),
        ("0", ""),
        ("", ""),
        ("x", ""),
    ],
)
def test_twice_a_quantity(quantity: str, twice: str) -> None:
    assert doubled(quantity) == twice


def test_each_retry_needs_a_higher_number() -> None:
    message = failed("stalled", builder=a_run().spec(retry=4))
    assert message.endswith('\'{"spec":{"retry":5}}\'')


def test_the_tests_on_a_cluster_find_the_commands_in_a_message() -> None:
    assert next_step.CREATE.search(CREATE)
    assert next_step.RETRY.search(AGAIN)
