"""spec.model.pretrained.run: which run is waited for, and which never has an export to start from."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from trainingrun.api.run import Run
from trfakes.builders import a_run
from trfakes.play import Play


def wants(name: str, other: str) -> Run:
    """A run that is not accepted yet and starts from the export of another."""
    return replace(a_run(name).spec(model={"pretrained": {"run": other}}).build(), uid=f"uid-{name}")


def play_of(run: Run, *others: Run) -> Play:
    play = Play()
    play.run = run
    play.others = {each.key: each for each in (run, *others)}
    play.step()
    return play


def ended(name: str, *, succeeded: str, **status: object) -> Run:
    builder = a_run(name).condition("Finished").condition("Succeeded", succeeded)
    return builder.status(phase="Failed" if succeeded == "False" else "Succeeded", **status).build()


def test_a_run_that_names_itself_is_refused() -> None:
    play = play_of(wants("tire", "tire"))
    assert play.condition("Accepted")["reason"] == "PretrainedRunCircular"
    assert play.status["phase"] == "Failed"
    assert "spec.model.pretrained.run: this run would wait for its own export: tire -> tire." in play.status["message"]


@pytest.mark.parametrize("names", [["b"], ["b", "c"], ["b", "c", "d", "e"]], ids=len)
def test_runs_that_wait_for_each_other_are_refused(names: list[str]) -> None:
    chain = ["a", *names, "a"]
    runs = [wants(name, following) for name, following in pairwise(chain)]
    play = play_of(*runs)
    assert play.condition("Accepted")["reason"] == "PretrainedRunCircular"
    assert " -> ".join(chain) in play.status["message"]


def test_a_run_waits_for_a_chain_that_ends_and_for_others_that_wait_for_each_other() -> None:
    for others in ([wants("b", "c"), a_run("c").build()], [wants("b", "c"), wants("c", "b")]):
        play = play_of(wants("a", "b"), *others)
        assert play.condition("Accepted")["reason"] == "PretrainedRunNotReady"
        assert play.condition("Finished")["status"] == "False"


def test_a_run_that_was_accepted_waits_for_nobody_and_makes_no_circle() -> None:
    accepted = a_run("b").spec(model={"pretrained": {"run": "a"}}).condition("Accepted").build()
    assert play_of(wants("a", "b"), accepted).condition("Accepted")["reason"] == "PretrainedRunNotReady"


@pytest.mark.parametrize("succeeded", ["False", "True"], ids=["failed", "succeeded without an export"])
def test_a_run_that_ended_without_an_export_is_refused(succeeded: str) -> None:
    play = play_of(wants("tire", "other"), ended("other", succeeded=succeeded))
    assert play.condition("Accepted")["reason"] == "PretrainedRunFailed"
    assert play.status["message"].startswith("spec.model.pretrained.run: TrainingRun 'other' has ended without an exp")
    assert '{"spec":{"retry":1}}' in play.status["message"]


def test_a_retry_after_the_other_run_was_retried_waits_and_then_starts() -> None:
    play = play_of(wants("tire", "other"), ended("other", succeeded="False"))
    play.others["default/other"] = a_run("other").condition("Finished", "False").build()
    play.spec(retry=1)
    play.step(1)
    assert play.condition("Accepted")["reason"] == "PretrainedRunNotReady"
    play.others["default/other"] = ended("other", succeeded="True", export={"uri": "s3://detectors/x/"})
    play.step(10)
    assert play.condition("Accepted")["status"] == "True"


def test_a_run_that_is_being_deleted_is_waited_for_as_one_that_does_not_exist() -> None:
    leaving = replace(a_run("other").build(), deleting=True)
    play = play_of(wants("tire", "other"), leaving)
    assert play.condition("Accepted")["reason"] == "PretrainedRunNotFound"
