"""`trainingrun explain`: what a finding or a reason means, by its name in any case."""

from __future__ import annotations

import pytest

from cli_shell import Shell
from trainingrun_agent import reasons
from trainingrun_agent.prep.model.codes import KINDS


@pytest.mark.parametrize("name", ["BoxDegenerate", "boxdegenerate", "BOXDEGENERATE"])
def test_a_finding_is_explained_with_an_example(shell: Shell, name: str) -> None:
    ended = shell.run("explain", name)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("BoxDegenerate\n\n**Warning.** The box is less than a pixel wide or high")
    assert "**What preparation did.** Dropped the box.\n" in ended.out
    assert "tire.jpg,160,120,tire,10,20,10,80\n" in ended.out


def test_a_reason_is_explained_with_its_next_step(shell: Shell) -> None:
    ended = shell.run("explain", "bucketnotfound")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("BucketNotFound\n\n**Agent: storageRefused.** ")
    assert "**What to do.** " in ended.out


def test_a_kill_for_memory_is_explained(shell: Shell) -> None:
    ended = shell.run("explain", "oomkilled")
    assert (ended.code, ended.err) == (0, "")
    assert "Create a new TrainingRun with spec.train.pod.resources.limits.memory: 2Gi (now 1Gi)" in ended.out
    assert "**In another case.** Ask your platform team to raise runs.agent.resources.limits.memory" in ended.out


def test_a_reason_of_the_operator_is_explained_too(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"name": "NodeOverheated", "raisedBy": "operator", "outcome": "ended", "meaning": "The node is too hot."}
    entry |= {"message": "<message>", "hint": "Cool it."}
    monkeypatch.setattr(reasons, "_of_operator", lambda: (entry,))
    assert shell.run("explain", "nodeoverheated").out == (
        "NodeOverheated\n\n**Operator: a pod ended.** The node is too hot.\n\n**What to do.** Cool it.\n"
    )
    assert "  NodeOverheated" in shell.run("explain").out


def test_a_name_that_is_both_is_explained_twice(shell: Shell) -> None:
    text = shell.run("explain", "ImageUnreadable").out
    assert text.count("ImageUnreadable\n\n") == 2


def test_a_reason_of_both_operator_and_agent_is_explained_by_both(shell: Shell) -> None:
    text = shell.run("explain", "unknownnetwork").out
    assert text.count("UnknownNetwork\n\n") == 2
    assert "**Agent: userError.** The agent has no configuration" in text
    assert "**Operator: not accepted.** This version of the operator does not know the network." in text


def test_options_stand_for_fields(shell: Shell) -> None:
    text = shell.run("explain", "UnknownClass").out
    assert "or use another --classes. " in text
    assert "spec." not in text


UNKNOWN = {
    "boxdegenerat": "did you mean BoxDegenerate",
    "UnknwonClass": "did you mean UnknownClass",
    "xyz": "`trainingrun explain` lists all",
}


@pytest.mark.parametrize(("name", "meant"), UNKNOWN.items())
def test_an_unknown_name_is_an_error_with_the_nearest_names(shell: Shell, name: str, meant: str) -> None:
    ended = shell.run("explain", name)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"trainingrun: error: there is no finding or reason {name!r}: {meant}")


def test_without_a_name_all_are_listed(shell: Shell) -> None:
    ended = shell.run("explain")
    assert (ended.code, ended.err) == (0, "")
    listed = {line.split()[0] for line in ended.out.splitlines() if line.startswith("  ")}
    assert listed == {*KINDS, *reasons.meanings()}


@pytest.mark.parametrize("name", [*KINDS, *reasons.meanings()])
def test_everything_can_be_explained(shell: Shell, name: str) -> None:
    ended = shell.run("explain", name)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"{name}\n")
