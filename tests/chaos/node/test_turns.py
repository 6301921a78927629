"""A fault that costs other runs something has its turn alone; the others overlap."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from trchaosnode.kinds import Kind, Stage
from trchaosnode.plan import Fault
from trchaosnode.world import Turns

TOGETHER = Fault(Kind.AGENT_KILLED, Stage.TRAIN, 0, 0)
ALONE = Fault(Kind.S3_KILLED, Stage.TRAIN, 0, 0)
SECONDS = 10


def test_two_faults_go_on_at_the_same_time() -> None:
    turns, both = Turns(), threading.Barrier(2)

    def inject() -> None:
        with turns.of(TOGETHER):
            both.wait(SECONDS)

    with ThreadPoolExecutor() as pool:
        for future in [pool.submit(inject) for _ in range(2)]:
            future.result(SECONDS)


def test_one_alone_waits_for_the_others_and_those_after_it_wait_for_it() -> None:
    turns, order = Turns(), list[str]()
    first_began, first_ends, second_waits = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with turns.of(TOGETHER):
            first_began.set()
            first_ends.wait(SECONDS)
            order.append("first")

    def alone() -> None:
        with turns.of(ALONE):
            second_waits.wait(SECONDS)
            order.append("alone")

    def second() -> None:
        second_waits.set()
        with turns.of(TOGETHER):
            order.append("second")

    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(first)]
        assert first_began.wait(SECONDS)
        jobs.append(pool.submit(alone))
        while not turns.waiting:
            pass
        jobs.append(pool.submit(second))
        assert second_waits.wait(SECONDS)
        first_ends.set()
        for job in jobs:
            job.result(SECONDS)
    assert order == ["first", "alone", "second"]
