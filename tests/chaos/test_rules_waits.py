"""Rules about waits: each kind of wait is shown by its own reason within 15 s, while an operator can."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hand_made import Hand, broken_by
from trchaos.faults import KINDS

RULE = "every wait shows its cause"


def show(hand: Hand, reason: str, *, message: str = "", **entry: Any) -> None:
    conditions = {"Accepted": ("True", "Accepted"), "Prepared": ("False", reason)}
    attempts = [{"stage": "prep", "number": 1, "jobUID": "a", **entry}]  # as of one whose pod has not ended yet
    hand.store(conditions=conditions, attempts=attempts, message=message)


def job_suspended(hand: Hand) -> None:
    hand.job(suspend=True)


def no_quota(hand: Hand) -> None:
    hand.job()
    hand.world.cluster.quota_full.add("default")


def no_room(hand: Hand) -> None:
    played = hand.pod(hand.job(), phase="Pending", begins=False)
    lacks = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    hand.world.store.update_status("pods", played.name, conditions=[lacks])


def running(hand: Hand) -> None:
    hand.pod(hand.job())


def no_pod_yet(hand: Hand) -> None:
    hand.job()


def ended(hand: Hand) -> None:
    hand.end(hand.pod(hand.job()), "crash")


def job_gone(_: Hand) -> None: ...


def waits(what: Any, reason: str, *, calm: bool = True, message: str = "run-prep-1-a", **entry: Any) -> bool:
    """Whether the rule is broken when a run waits for this and shows that reason."""

    async def play(hand: Hand) -> None:
        hand.document()
        what(hand)
        show(hand, reason, message=message, **entry)
        if calm:
            await hand.calm()
        await asyncio.sleep(60)

    found = broken_by(play)
    assert found <= {RULE}
    return RULE in found


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (job_suspended, "JobSuspended"),
        (no_quota, "QuotaExceeded"),
        (no_room, "PodUnschedulable"),
        (no_pod_yet, "PodPending"),
        (running, "Running"),
    ],
)
def test_a_wait_is_shown_by_its_reason(what: Any, reason: str) -> None:
    assert not waits(what, reason)
    assert waits(what, "AttemptStarted")


def test_a_wait_that_is_over_is_taken_back() -> None:
    assert waits(running, "PodUnschedulable")


def test_the_message_names_the_pod_without_room() -> None:
    assert waits(no_room, "PodUnschedulable", message="It waits.")


@pytest.mark.parametrize("what", [ended, job_gone])
def test_an_end_is_acted_on(what: Any) -> None:
    assert waits(what, "Running")


def test_a_back_off_shows_when_it_ends() -> None:
    until = "2026-01-01T01:00:00Z"
    shown: dict[str, Any] = {"ended": 1, "nextRetryAt": until}
    assert not waits(job_gone, "AttemptDelayed", message=f"Attempt 2 of prep starts at {until}.", **shown)
    assert waits(job_gone, "AttemptDelayed", message="Attempt 2 of prep starts soon.", **shown)


def test_after_a_back_off_an_attempt_starts() -> None:
    assert waits(job_gone, "AttemptDelayed", ended=1, nextRetryAt="2026-01-01T00:00:05Z")


def jobs_refused(hand: Hand) -> None:
    values = {"of": "jobs", "why": "policy", "share": 1.0, "seconds": 600.0}
    KINDS["admission refuses"].happen(hand.world, values)


def test_a_refused_creation_is_shown() -> None:
    assert not waits(jobs_refused, "CreationRefused", ended=1)
    assert waits(jobs_refused, "AttemptDelayed", ended=1)


def test_nothing_is_asked_of_an_operator_that_is_hindered() -> None:
    assert not waits(no_quota, "AttemptStarted", calm=False)


def test_a_suspended_run_is_shown_as_suspended() -> None:
    async def play(hand: Hand, reason: str) -> None:
        hand.document()
        hand.change(suspend=True)
        show(hand, reason, ended=1)
        await hand.calm()
        await asyncio.sleep(60)

    assert broken_by(lambda hand: play(hand, "Running")) == {RULE}
    assert not broken_by(lambda hand: play(hand, "Suspended"))
