"""The operator's table of reasons: it is complete, no other reason is raised, and each step it offers can be taken."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import trainingrun
from trainingrun.api import reasons
from trainingrun.api.names import Stage
from trainingrun.api.reason import MUTABLE, Reason, Step
from trfakes import second_runs
from trfakes.builders import a_run, running, terminated, waiting
from trfakes.play import Play
from trfakes.schema import crd_part

PACKAGE = Path(trainingrun.__file__ or "").parent
WHOLE_TESTS = Path(__file__).parents[1] / "whole" / "test_refused.py"
ENTRIES = [
    pytest.param(entry, id=f"{name} {n}") for name, found in reasons.TABLE.items() for n, entry in enumerate(found)
]
MAX_HINT = 300
AT = "2026-01-01T00:00:00Z"


def spec_schema() -> Any:
    return crd_part("spec").schema


def has_field(path: str) -> bool:
    node = spec_schema()
    for name in path.split("."):
        node = node.get("properties", {}).get(name)
        if node is None:
            return False
    return True


def stages_of(path: str) -> list[str]:
    return [path.replace("stage.", f"{stage}.", 1) for stage in Stage] if path.startswith("stage.") else [path]


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_field_is_one_of_the_spec(entry: Reason) -> None:
    in_hint = re.findall(r"spec\.([A-Za-z.]+[A-Za-z])", entry.hint_with(stage="prep"))
    paths = [path for field in (*entry.fields, *in_hint) for path in stages_of(field)]
    assert [path for path in paths if not has_field(path)] == []


def test_what_may_change_on_a_live_object_is_what_the_api_lets_change() -> None:
    frozen = set(re.findall(r"self\.(\w+) == oldSelf\.\1", str(spec_schema()["x-kubernetes-validations"])))
    assert set(spec_schema()["properties"]) - frozen == set(MUTABLE)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_field_that_cannot_change_needs_a_new_run(entry: Reason) -> None:
    for sentence in re.split(r"(?<=\.) |; ", entry.hint_with()):
        fields = re.findall(r"spec\.(?:<stage>\.)?(\w+)", sentence)
        assert "new TrainingRun" in sentence or "new one of this" in sentence or set(fields) <= set(MUTABLE), sentence
    if entry.step is Step.NEW_RUN:
        assert "new TrainingRun" in entry.hint


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_is_explained(entry: Reason) -> None:
    assert re.fullmatch("[A-Z][A-Za-z0-9]{0,63}", entry.name)
    assert entry.meaning.endswith(".")
    assert not entry.hint or (entry.hint[0].isupper() and entry.hint.endswith("."))
    assert len(entry.hint) <= MAX_HINT
    assert entry.ends_run or entry.step is Step.WAIT, "a run that goes on needs no retry"


def test_nothing_is_raised_that_has_no_entry() -> None:
    """mypy refuses a text in place of a Reason; this finds a Reason that is made outside of the table."""
    made = {
        f"{path.name}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        if path.name not in {"reason.py", "reasons.py", "end_reasons.py", "progress_reasons.py"}
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Reason"
    }
    assert made == set()


# One case for each reason: each calls plan() on a simulated run.


def refused(**spec: Any) -> Play:
    play = Play(a_run().spec(**spec))
    play.step()
    return play


def waits(**pod: Any) -> Play:
    """A run whose pod does not start."""
    play = Play(a_run().spec(train={"gpus": 1}))
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job, **{"phase": "Pending", **pod})
    play.step(30)
    return play


def container(reason: str, message: str = "") -> Play:
    return waits(containers={"trainer": waiting(reason, message)})


def started() -> Play:
    play = Play()
    play.step()
    return play


def no_pod(hint: str = "") -> Play:
    play = started()
    play.hints = {"uid-tire-prep-1": hint} if hint else {}
    play.step(30)
    return play


def ended(*, gone_job: bool = False, trainer: Any = None, agent: Any = None, **pod: Any) -> Play:
    """A run whose training ended without a verdict."""
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job, phase="Failed")
    containers = {"agent": agent or terminated(exit_code=137), "trainer": trainer or terminated(exit_code=137)}
    play.change_pod(job, **{"containers": containers, **pod})
    play.jobs[job] = replace(play.jobs[job], ending=True)
    if gone_job:
        play.jobs.clear()
    play.step(60)
    return play


def without_pod(*, job: bool) -> Play:
    play = Play()
    name = play.play_to(Stage.TRAIN)
    if job:
        play.jobs[name] = replace(play.jobs[name], finished="Failed", finished_at=AT)
    else:
        play.jobs.clear()
    play.step(60)
    return play


def suspended_by_another() -> Play:
    play = started()
    play.jobs["tire-prep-1"] = replace(play.jobs["tire-prep-1"], suspended=True)
    play.step(1)
    return play


def crowded() -> Play:
    play = Play()
    play.start_pod(play.play_to(Stage.TRAIN))
    play.step(1)
    play.spec(suspend=True)
    waiting_run = a_run("other").condition("Trained", "False", reason="QuotaExceeded")
    play.others["default/other"] = waiting_run.build()
    play.step(1)
    return play


def never_started(code: int = 127) -> Play:
    play = Play()
    play.play_to(Stage.TRAIN)
    for number in range(1, 5):
        job = f"tire-train-{number}"
        if job not in play.jobs:
            break
        pod = play.start_pod(job)
        over = terminated("no python", exit_code=code, reason="Error", at=play.now)
        play.change_pod(job, containers={**pod.containers, "trainer": over})
        play.progress = {"podUID": pod.uid, "phase": "waitingForTrainer"}
        play.step(20)
        play.pods.clear()
        play.step(600)
    return play


def deadline() -> Play:
    play = Play(a_run().spec(startDeadlineSeconds=30))
    play.step()
    play.step(60)
    return play


def stuck() -> Play:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.start_pod(job, deletion_at=AT, node="n1")
    play.step(600)
    return play


def suspended() -> Play:
    play = Play(a_run().spec(suspend=True))
    play.step()
    return play


def suspending() -> Play:
    play = started()
    play.start_pod("tire-prep-1")
    play.step(1)
    play.spec(suspend=True)
    play.step(1)
    return play


def resumed() -> Play:
    play = suspended()
    play.spec(suspend=False)
    play.step(1)
    return play


def delayed(outcome: str, *, after: float = 0) -> Play:
    """A run whose attempt has failed, and whose next one starts in ten seconds."""
    play = started()
    play.end_pod("tire-prep-1", outcome, reason="NoVerdict")
    play.step(1)
    play.step(after)
    return play


def retried() -> Play:
    play = refused(storage={"credentials": {"secretName": "other"}})
    play.spec(retry=1)
    play.step()
    return play


def whole(warning: str = "") -> Play:
    play = started()
    for stage in Stage:
        play.end_pod(f"tire-{stage}-1", numbers={"storageWarning": warning} if warning else {})
        play.step(1)
    return play


def older_contract() -> Play:
    play = started()
    play.accept_with(contractVersion=99)
    play.step()
    return play


def other_document(text: str | None, *, accepted: bool = True, **settings: str) -> Play:
    """A run whose ConfigMap holds this text, or was deleted (None), before or after its acceptance."""
    play = Play(a_run() if accepted else a_run().status(storageURI="s3://detectors/runs/"))
    if accepted:
        play.step()
    play.restart(replace(play.settings, **settings))
    play.document = text
    play.step()
    return play


def disrupted(name: str) -> Callable[[], Play]:
    return lambda: ended(disruption=name, disruption_message="because")


def lost(name: str) -> Callable[[], Play]:
    return lambda: ended(reason=name, message="the node")


PRETRAINED = {"pretrained": {"run": "other"}}


def started_from_weights() -> Play:
    play = Play()
    job = play.play_to(Stage.TRAIN)
    play.progress = {"podUID": play.start_pod(job).uid, "restored": {"loaded": 0, "total": 143, "startsAnew": "all"}}
    play.step(1)
    return play


def other_run_works() -> Play:
    play = Play(a_run().spec(model=PRETRAINED))
    play.others["default/other"] = a_run("other").build()
    play.step()
    return play


RESUME = {"run": "other"}


def resumes_from_a_run(**status: Any) -> Play:
    """A run that continues another, which shows this status."""
    play = Play(a_run().spec(resumeFrom=RESUME))
    other = a_run("other").status(**status)
    play.others["default/other"] = (other.condition("Finished") if status else other).build()
    play.step()
    return play


def other_run_failed() -> Play:
    play = Play(a_run().spec(model=PRETRAINED))
    failed = Play(a_run("other").spec(train={"image": "evil:1"}))
    failed.step()
    play.others["default/other"] = failed.run
    play.step()
    return play


def dataset_lost() -> Play:
    play = Play()
    play.end_pod(play.play_to(Stage.TRAIN), "storageRefused", reason="DatasetLost")
    play.step()
    return play


MISSING = 'FailedMount: MountVolume.SetUp failed: {} "x" not found'
CASES: Mapping[str, Callable[[], Play]] = {
    "ForbiddenByPolicy": lambda: refused(train={"image": "evil:1"}),
    "InvalidEndpoint": lambda: refused(storage={"endpoint": "http://0x7f.1"}),
    "UnknownNetwork": lambda: refused(model={"network": "yolo"}),
    "FieldUnusable": lambda: refused(model={"overrides": {"model.ssd": {"a": 1}}}),
    "ClassWeightsUnknown": lambda: refused(train={"classWeights": {"Tire": 2}}),
    "PretrainedRunNotFound": lambda: refused(model=PRETRAINED),
    "PretrainedRunNotReady": other_run_works,
    "PretrainedRunFailed": other_run_failed,
    "InvalidWeightsAddress": lambda: refused(model={"pretrained": {"uri": "https://0x7f.1/a.tar", "sha256": "a" * 64}}),
    "ResumeFromRunNotFound": lambda: refused(resumeFrom=RESUME),
    "ResumeFromRunNotReady": resumes_from_a_run,
    "ResumeFromRunEmpty": lambda: resumes_from_a_run(phase="Failed"),
    "ResumeFromRunCircular": lambda: refused(resumeFrom={"run": "tire"}),
    "PretrainedRunCircular": lambda: refused(model={"pretrained": {"run": "tire"}}),
    "Waiting": lambda: refused(model=PRETRAINED),
    "UnsupportedContract": older_contract,
    "ForeignConfigMap": lambda: other_document('{"contractVersion": 1}', accepted=False),
    "ConfigMapReplaced": lambda: other_document('{"contractVersion": 1}'),
    "ConfigMapLost": lambda: other_document(None, agent_image="agent:2"),
    "PodPending": no_pod,
    "QuotaExceeded": lambda: no_pod("FailedCreate: exceeded quota: team"),
    "PodRefused": lambda: no_pod("FailedCreate: denied by webhook"),
    "PodUnschedulable": lambda: waits(scheduled_at="", containers={}, unschedulable="0/1 nodes are available"),
    "ContainerCreating": lambda: waits(containers={}),
    "ImagePullFailed": lambda: container("ErrImagePull", "not found"),
    "ServiceAccountMissing": lambda: no_pod('FailedCreate: error looking up: serviceaccount "s3" not found'),
    "SecretMissing": lambda: container("CreateContainerConfigError", 'secret "s" not found'),
    "ConfigMapMissing": lambda: container("CreateContainerConfigError", 'configmap "c" not found'),
    "JobSuspended": suspended_by_another,
    "InitContainer": lambda: waits(containers={}, init_name="mesh", init_container=running()),
    "CreateContainerConfigError": lambda: container("CreateContainerConfigError", "bad"),
    "CreateContainerError": lambda: container("CreateContainerError", "bad"),
    "OOMKilled": lambda: ended(trainer=terminated(reason="OOMKilled", exit_code=137)),
    "DiskFull": lambda: ended(reason="Evicted", message='Usage of EmptyDir volume "shared" exceeds the limit "20Gi".'),
    "Evicted": lambda: ended(reason="Evicted", message="The node was low on resource: memory."),
    "PodDeleted": lambda: ended(deletion_at=AT),
    "PodGone": lambda: without_pod(job=True),
    "PodStuck": stuck,
    "JobGone": lambda: without_pod(job=False),
    "NodeLost": lost("NodeLost"),
    "NodeShutdown": lost("NodeShutdown"),
    "Shutdown": lost("Shutdown"),
    "Terminated": lost("Terminated"),
    "PreemptionByScheduler": disrupted("PreemptionByScheduler"),
    "DeletionByTaintManager": disrupted("DeletionByTaintManager"),
    "EvictionByEvictionAPI": disrupted("EvictionByEvictionAPI"),
    "DeletionByPodGC": disrupted("DeletionByPodGC"),
    "TerminationByKubelet": disrupted("TerminationByKubelet"),
    "Preempting": lost("Preempting"),
    "DeadlineExceeded": lost("DeadlineExceeded"),
    "RefusedByNode": lambda: ended(reason="OutOfcpu", message="no CPU", containers={}),
    "ContainerStatusUnknown": lambda: ended(agent=terminated(exit_code=137, reason="ContainerStatusUnknown")),
    "IllegalInstruction": lambda: never_started(code=132),
    "NoVerdict": ended,
    "NodeDiskFull": lambda: ended(agent=terminated(exit_code=28)),
    "TrainerNeverStarted": never_started,
    "StartDeadlineExceeded": deadline,
    "Accepted": whole,
    "AttemptStarted": started,
    "Running": lambda: waits(phase="Running"),
    "Suspended": suspended,
    "Suspending": suspending,
    "Resumed": resumed,
    "AttemptDelayed": lambda: delayed("crash"),
    "NotReported": lambda: delayed("storageOutage", after=10),
    "Retry": retried,
    "RetryIgnored": lambda: refused(retry=1),
    "TensorBoardYields": crowded,
    "ResultsLost": dataset_lost,
    "Usable": whole,
    "Warning": lambda: whole("ConditionalWritesIgnored: no If-None-Match"),
    "Completed": whole,
    "Succeeded": whole,
    "Failed": lambda: refused(train={"image": "evil:1"}),
    "Prepared": whole,
    "TrainingStarted": started_from_weights,
    **second_runs.CASES,
    "Unknown": lambda: ended(disruption="?", disruption_message="because"),
}
BY_THE_RECONCILER = {  # tests/operator/whole/test_refused.py
    "ChildRefused",
    "CreationRefused",
    "DeletionRefused",
    "StatusRefused",
    "TensorBoardRefused",
}


def test_every_entry_has_its_case() -> None:
    assert set(CASES) | BY_THE_RECONCILER == set(reasons.TABLE)
    assert [name for name in BY_THE_RECONCILER if f'"{name}"' not in WHOLE_TESTS.read_text()] == []


@pytest.mark.parametrize("name", CASES)
def test_the_reason_is_given(name: str) -> None:
    play = CASES[name]()
    seen = {condition["reason"] for condition in play.status["conditions"]} | set(play.reasons())
    seen |= {entry.get("lastReason", "") for entry in play.status.get("attempts", [])}
    assert name in seen
    assert seen - {"", "DatasetLost"} <= set(reasons.TABLE)  # that one is in the agent's table
