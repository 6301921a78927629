"""Rules about attempts: each is broken by a sequence, and not by the one beside it that is right."""

from __future__ import annotations

import asyncio
import json

from hand_made import Hand, broken_by
from trchaos.server import Client


def accept(hand: Hand) -> None:
    hand.document()
    hand.store(conditions={"Accepted": ("True", "Accepted"), "Prepared": ("False", "AttemptStarted")})


def test_a_job_waits_for_the_pod_of_the_attempt_before() -> None:
    async def beside(hand: Hand) -> None:
        accept(hand)
        hand.pod(hand.job())
        hand.job(attempt=2)

    async def after(hand: Hand) -> None:
        accept(hand)
        hand.end(hand.pod(hand.job()), "crash")
        hand.job(attempt=2)

    assert "one live attempt" in broken_by(beside)
    assert not broken_by(after)


def test_a_pod_is_given_up_two_minutes_after_its_grace_period() -> None:
    async def given_up(hand: Hand, seconds: float) -> None:
        accept(hand)
        hand.ends_by(hand.pod(hand.job()), 30)
        await asyncio.sleep(seconds)
        hand.pod(hand.job(attempt=2))

    assert not broken_by(lambda hand: given_up(hand, 152))
    assert "one live attempt" in broken_by(lambda hand: given_up(hand, 140))


def test_no_pod_begins_beside_another_one() -> None:
    async def begin(hand: Hand) -> None:
        accept(hand)
        job = hand.job()
        hand.pod(job)
        hand.pod(job, name="b")

    async def begin_after(hand: Hand) -> None:
        accept(hand)
        job = hand.job()
        hand.end(hand.pod(job), "interrupted")
        hand.pod(job, name="b")

    async def begin_again(hand: Hand) -> None:
        accept(hand)
        job = hand.job()
        hand.ends_by(hand.pod(job), 30)
        await asyncio.sleep(1)
        hand.end(hand.pod(job, name="b"), "succeeded")
        hand.job("train")

    assert "one live attempt" in broken_by(begin)
    assert not broken_by(begin_after)
    assert "one live attempt" not in broken_by(begin_again)  # something else has resumed the Job


def test_a_stage_may_begin_again_beside_a_later_one_that_no_status_has() -> None:
    """Its Job was deleted before its success was stored, and the operator had made the Job of the next stage."""

    async def begin(hand: Hand, *, recorded: bool) -> None:
        accept(hand)
        hand.end(hand.pod(hand.job()), "succeeded")
        hand.pod(hand.job("train"))
        job = hand.job(attempt=2)
        if recorded:
            hand.store(attempts=[{"stage": stage, "number": 1, "jobUID": "a"} for stage in ("prep", "train")])
        hand.pod(job)

    assert "one live attempt" not in broken_by(lambda hand: begin(hand, recorded=False))
    assert "one live attempt" in broken_by(lambda hand: begin(hand, recorded=True))


def test_stages_come_in_their_order() -> None:
    async def train(hand: Hand, *, prepared: bool) -> None:
        accept(hand)
        hand.store(conditions={"Prepared": (str(prepared), "Completed")})
        hand.job("train")

    assert broken_by(lambda hand: train(hand, prepared=False)) == {"stages in their order"}
    assert not broken_by(lambda hand: train(hand, prepared=True))


def test_a_finished_stage_never_runs_again() -> None:
    async def again(hand: Hand, *, done: bool) -> None:
        accept(hand)
        hand.store(conditions={"Prepared": (str(done), "Completed")})
        hand.job(attempt=2)

    assert broken_by(lambda hand: again(hand, done=True)) == {"a finished stage never runs again"}
    assert not broken_by(lambda hand: again(hand, done=False))


def test_no_pod_begins_for_a_run_that_was_suspended_before_its_job_was_made() -> None:
    async def begin(hand: Hand, *, suspended_first: bool) -> None:
        accept(hand)
        if not suspended_first:
            job = hand.job()
        hand.change(suspend=True)
        await asyncio.sleep(40)
        if suspended_first:
            job = hand.job()
        hand.pod(job)

    assert broken_by(lambda hand: begin(hand, suspended_first=True)) == {"no pod for a run that wants none"}
    assert not broken_by(lambda hand: begin(hand, suspended_first=False))


def test_no_pod_begins_for_a_run_that_has_ended_unless_it_is_retried() -> None:
    async def begin(hand: Hand, *, retried: bool) -> None:
        accept(hand)
        hand.store(conditions={"Finished": ("True", "Failed")})
        if retried:
            hand.change(retry=1)  # the status that says so is refused
        await asyncio.sleep(40)
        hand.pod(hand.job())

    assert "no pod for a run that wants none" in broken_by(lambda hand: begin(hand, retried=False))
    assert "no pod for a run that wants none" not in broken_by(lambda hand: begin(hand, retried=True))


def test_no_job_is_made_for_a_run_that_has_long_been_suspended() -> None:
    async def make(hand: Hand, seconds: float) -> None:
        accept(hand)
        await hand.calm()
        hand.change(suspend=True)
        await asyncio.sleep(seconds)
        hand.job()

    rule = "no attempt of a run that is suspended"
    assert rule in broken_by(lambda hand: make(hand, 15))
    assert rule not in broken_by(lambda hand: make(hand, 2))


def test_numbers_of_attempts_only_grow_by_one() -> None:
    async def count(hand: Hand, *numbers: tuple[int, int]) -> None:
        accept(hand)
        for number, ended in numbers:
            hand.store(attempts=[{"stage": "prep", "number": number, "ended": ended, "jobUID": "a"}])

    assert not broken_by(lambda hand: count(hand, (1, 0), (2, 1)))
    assert "no attempt is skipped" in broken_by(lambda hand: count(hand, (1, 0), (3, 1)))
    assert "attempts never go back" in broken_by(lambda hand: count(hand, (1, 0), (2, 1), (1, 1)))
    assert "attempts never go back" in broken_by(lambda hand: count(hand, (1, 0), (2, 1), (2, 0)))
    assert "no more attempts end than began" in broken_by(lambda hand: count(hand, (1, 2)))


def test_a_number_is_used_for_one_job() -> None:
    async def twice(hand: Hand, *, recorded: bool) -> None:
        accept(hand)
        job = hand.job()
        if recorded:
            hand.store(attempts=[{"stage": "prep", "number": 1, "jobUID": job["metadata"]["uid"]}])
        hand.world.store.remove("jobs", "run-prep-1")
        hand.job()

    async def twice_by(hand: Hand, *operators: str) -> None:
        accept(hand)
        for operator in operators:
            hand.world.server.acting = operator
            hand.job()
            hand.world.server.acting = ""
            hand.world.store.remove("jobs", "run-prep-1")

    assert broken_by(lambda hand: twice_by(hand, "a-0", "a-0")) == {"numbers of attempts never repeat"}
    assert not broken_by(lambda hand: twice_by(hand, "a-0", "a-1"))
    assert broken_by(lambda hand: twice(hand, recorded=True)) == {"numbers of attempts never repeat"}
    assert not broken_by(lambda hand: twice(hand, recorded=False))


def test_attempts_are_made_from_the_document() -> None:
    async def make(hand: Hand, *, document: bool) -> None:
        if document:
            hand.document()
        hand.store(conditions={"Accepted": ("True", "Accepted")})
        hand.job()

    assert broken_by(lambda hand: make(hand, document=False)) == {"a document for every attempt"}
    assert not broken_by(lambda hand: make(hand, document=True))


def test_no_attempt_of_a_run_that_has_ended() -> None:
    async def play(hand: Hand, *, retried: bool) -> None:
        accept(hand)
        hand.change(activeDeadlineSeconds=60)
        hand.store(activeSince="2025-12-31T00:00:00Z")
        ended = {"Succeeded": ("False", "ActiveDeadlineExceeded"), "Finished": ("True", "Failed")}
        hand.store(conditions=ended, phase="Failed", finishedAt="2026-01-01T00:00:00Z")
        if retried:
            hand.change(retry=1)
        hand.job()

    assert broken_by(lambda hand: play(hand, retried=False)) == {"no attempt of a run that has ended"}
    assert not broken_by(lambda hand: play(hand, retried=True))


def test_an_operator_that_saw_the_deletion_of_a_run_creates_nothing_for_it() -> None:
    async def play(hand: Hand, *, seen: bool) -> None:
        client = Client("operator-0")
        hand.lease("operator-0")
        if seen:
            client.gone.add(hand.uid)
        owner = {"uid": hand.uid, "controller": True, "name": "run", "kind": "TrainingRun"}
        body = json.dumps({"metadata": {"name": "run-resolved-0", "ownerReferences": [owner]}})
        path = "/api/v1/namespaces/default/configmaps"
        await hand.world.server.call(client, "POST", path, query={}, body=body)

    assert broken_by(lambda hand: play(hand, seen=True)) == {"no child for a run that is gone"}
    assert not broken_by(lambda hand: play(hand, seen=False))
