"""Tests of the schedules: a seed decides all, and many seeds leave out nothing."""

from __future__ import annotations

from trchaosstorage.schedule import FAULTY_ATTEMPTS, REQUESTS, Attempt, End, schedule_of
from trfakes.s3_faults import Fault


def test_a_seed_is_one_schedule() -> None:
    assert schedule_of(7) == schedule_of(7)
    assert schedule_of(7) != schedule_of(8)


def test_a_hundred_seeds_have_every_fault_and_every_end_in_every_stage() -> None:
    attempts = {stage: [one for seed in range(100) for one in schedule_of(seed).attempts[stage]] for stage in REQUESTS}
    for stage, found in attempts.items():
        assert {burst.fault for one in found for burst in one.bursts} == set(Fault)
        ends = {one.end.end for one in found if one.end}
        assert ends == set(End) - ({End.TRAINER_KILLED} if stage == "prep" else set())


def test_faults_end() -> None:
    """So that a run must succeed."""
    schedule = schedule_of(7)
    for stage in REQUESTS:
        assert schedule.attempt(stage, FAULTY_ATTEMPTS) == Attempt()
