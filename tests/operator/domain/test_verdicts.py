"""Verdicts on an attempt, from the agent's termination message and from Kubernetes' status."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trainingrun.api import reasons
from trainingrun.api.names import Stage
from trainingrun.domain.judge import judge
from trainingrun.domain.verdicts import POLICIES, Outcome, parse_verdict
from trfakes.builders import a_job, a_pod, running, terminated
from trfakes.fake_cluster import verdict

AT = "2026-01-01T00:00:00Z"


def train_pod(agent: Any, trainer: Any = None, **fields: Any) -> Any:
    return a_pod(Stage.TRAIN, containers={"agent": agent, "trainer": trainer or running()}, **fields)


def prep_pod(agent: Any, **fields: Any) -> Any:
    return a_pod(Stage.PREP, containers={"agent": agent}, **fields)


def agent_ended(outcome: str, **fields: Any) -> Any:
    return terminated(json.dumps(verdict("train", outcome, **fields)), exit_code=1)


def test_every_outcome_has_a_policy() -> None:
    assert set(POLICIES) == set(Outcome)


@pytest.mark.parametrize(
    ("pod", "outcome", "reason"),
    [
        pytest.param(None, Outcome.INTERRUPTED, "PodGone", id="no pod is left"),
        pytest.param(
            train_pod(agent_ended("diverged"), phase="Failed"), Outcome.DIVERGED, "Diverged", id="the agent says"
        ),
        pytest.param(
            train_pod(agent_ended("succeeded"), deletion_at=AT),
            Outcome.SUCCEEDED,
            "Completed",
            id="done before deleted",
        ),
        pytest.param(
            train_pod(agent_ended("crash"), terminated(reason="OOMKilled", exit_code=0), phase="Failed"),
            Outcome.OUT_OF_MEMORY,
            "OOMKilled",
            id="killed for memory with exit code 0",
        ),
        pytest.param(
            train_pod(terminated(reason="OOMKilled", exit_code=137), phase="Failed"),
            Outcome.OUT_OF_MEMORY,
            "OOMKilled",
            id="the agent itself was killed for memory",
        ),
        pytest.param(
            train_pod(agent_ended("crash"), phase="Failed", disruption="PreemptionByScheduler"),
            Outcome.INTERRUPTED,
            "PreemptionByScheduler",
            id="preempted",
        ),
        pytest.param(
            train_pod(
                terminated(exit_code=137),
                phase="Failed",
                reason="Evicted",
                message='Usage of EmptyDir volume "shared" exceeds the limit "20Gi".',
            ),
            Outcome.DISK_FULL,
            "DiskFull",
            id="scratch is full",
        ),
        pytest.param(
            train_pod(
                terminated(exit_code=137),
                phase="Failed",
                reason="Evicted",
                message="The node was low on resource: ephemeral-storage.",
                disruption="TerminationByKubelet",
            ),
            Outcome.INTERRUPTED,
            "Evicted",
            id="the node is short of disk",
        ),
        pytest.param(
            train_pod(agent_ended("crash"), phase="Failed", reason="NodeLost"),
            Outcome.INTERRUPTED,
            "NodeLost",
            id="node lost",
        ),
        pytest.param(
            train_pod(terminated(exit_code=143), phase="Failed", deletion_at=AT),
            Outcome.INTERRUPTED,
            "PodDeleted",
            id="deleted without a verdict",
        ),
        pytest.param(train_pod(running(), gone=True), Outcome.INTERRUPTED, "PodDeleted", id="deleted by force"),
        pytest.param(train_pod(agent_ended("crash"), phase="Failed"), Outcome.CRASH, "Crash", id="crash"),
        pytest.param(
            train_pod(terminated("Traceback …", exit_code=1), phase="Failed"),
            Outcome.CRASH,
            "NoVerdict",
            id="a termination message that is not a verdict",
        ),
    ],
)
def test_every_end_of_a_pod_has_its_outcome_and_reason(pod: Any, outcome: Outcome, reason: str) -> None:
    found = judge(a_job(Stage.TRAIN), pod)
    assert (found.outcome, found.reason.name) == (outcome, reason)
    assert found.message


def test_an_interruption_names_its_cause_and_keeps_the_numbers_of_the_agent() -> None:
    agent = agent_ended("interrupted", message="SIGTERM arrived at step 57.", numbers={"checkpointStep": 57})
    pod = train_pod(
        agent, disruption="EvictionByEvictionAPI", disruption_message="Eviction API: evicting", deletion_at=AT
    )
    found = judge(a_job(Stage.TRAIN), pod)
    assert (found.reason.name, found.numbers) == ("EvictionByEvictionAPI", {"checkpointStep": 57})
    assert found.message == ("Pod tire-train-1-x1 was disrupted: Eviction API: evicting. SIGTERM arrived at step 57.")


LOGS = "s3://detectors/runs/default/tire-11111111/logs/"


@pytest.mark.parametrize(
    ("outcome", "more"),
    [
        ("crash", {}),
        ("interrupted", {"disruption": "EvictionByEvictionAPI", "deletion_at": AT}),
        ("crash", {"trainer": terminated(reason="OOMKilled", exit_code=137)}),
        ("crash", {"phase": "Failed", "reason": "NodeLost"}),
    ],
    ids=["crash", "evicted", "killed for memory", "node lost"],
)
def test_the_logs_are_found_whatever_ended_the_pod(outcome: str, more: dict[str, Any]) -> None:
    found = judge(a_job(Stage.TRAIN), train_pod(agent_ended(outcome, logsURI=LOGS), **more))
    assert found.logs_uri == LOGS


@pytest.mark.parametrize("uri", ["x" * 1025, "s3://a/\x1b[2J", 7, None], ids=str)
def test_an_address_of_logs_that_the_status_cannot_hold_is_left_out(uri: object) -> None:
    found = parse_verdict(json.dumps(verdict("train", "crash") | {"logsURI": uri}))
    assert found is not None
    assert found.logs_uri == ""


def test_a_message_without_verdict_is_quoted() -> None:
    pod = train_pod(terminated("exec format error", exit_code=126, reason="StartError"), phase="Failed")
    assert judge(None, pod).message == (
        "Container agent of pod tire-train-1-x1 ended with exit code 126 (StartError) and no verdict: exec format error"
    )


READING = "\n".join(line.ljust(255) for line in ("reading train.json", "", "reading photos/a b.png", "\x1b")) + "\n"


def test_a_pod_that_is_killed_for_memory_names_the_files_that_it_read() -> None:
    found = judge(None, prep_pod(terminated(READING, reason="OOMKilled", exit_code=137), phase="Failed"))
    assert found.message == (
        "Container agent of pod tire-prep-1-x1 was killed because it ran out of memory while it read train.json, "
        "photos/a b.png."
    )
    assert found.reason is reasons.OOM_KILLED_READING
    beside_a_trainer = judge(None, train_pod(terminated(READING, reason="OOMKilled", exit_code=137), phase="Failed"))
    assert "photos/a b.png." in beside_a_trainer.message
    assert beside_a_trainer.reason is reasons.OOM_KILLED_AGENT


def test_a_pod_that_is_killed_for_memory_and_read_nothing_names_nothing() -> None:
    for message in ("", " \n" * 5, "reading ", "\x1b[31mreading a.png"):
        found = judge(None, prep_pod(terminated(message, reason="OOMKilled", exit_code=137), phase="Failed"))
        assert found.message.endswith("was killed because it ran out of memory.")
        assert found.reason is reasons.OOM_KILLED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "{}",
        "[" * 4000,
        '{"contractVersion": 1, "numbers": ' + "[" * 100 + "]" * 100 + "}",
        "\ud800",
        json.dumps(verdict("train") | {"contractVersion": 2}),
        json.dumps(verdict("train") | {"outcome": "brilliant"}),
        json.dumps(verdict("train", message="x" * 5000)),
    ],
)
def test_an_invalid_verdict_is_ignored(text: str) -> None:
    assert parse_verdict(text) is None


def test_texts_of_a_verdict_are_bounded() -> None:
    found = parse_verdict(json.dumps(verdict("train", "crash", reason="R" * 200, message="m" * 1600, hint="h" * 700)))
    assert found is not None
    assert (len(found.reason.name), len(found.message), len(found.hint)) == (64, 1500, 600)
