"""The work queue, tested with a clock that skips waiting times."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from trainingrun.engine.workqueue import FAIR_TURNS, HOLD_SECONDS, MAX_SECONDS, WorkQueue
from trfakes.jumping_loop import run_jumping

Handle = Callable[[str], Awaitable[None]]


def serve(
    fill: Callable[[WorkQueue], None],
    handle: Callable[[WorkQueue, str], Awaitable[None]],
    *,
    workers: int = 2,
    seconds: float = 1000,
    urgency_of: Callable[[str], int] = lambda _: 0,
) -> None:
    """Fill a queue and let workers serve it for a while."""

    async def work() -> None:
        queue = WorkQueue(urgency_of=urgency_of)
        fill(queue)
        tasks = [asyncio.create_task(queue.work(lambda key: handle(queue, key))) for _ in range(workers)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run_jumping(work())


def test_a_key_is_handled_once_however_often_it_was_added() -> None:
    seen: list[str] = []

    def fill(queue: WorkQueue) -> None:
        for key in ("a", "a", "b", "a"):
            queue.add(key)
        assert len(queue) == 2

    async def handle(_queue: WorkQueue, key: str) -> None:
        seen.append(key)

    serve(fill, handle)
    assert seen == ["a", "b"]


def test_a_key_is_never_handled_twice_at_once_but_again_after_a_change() -> None:
    active: list[str] = []
    most: list[int] = []

    async def handle(queue: WorkQueue, key: str) -> None:
        active.append(key)
        most.append(len(active))
        if len(most) == 1:
            queue.add(key)
            queue.add(key)
        await asyncio.sleep(5)
        active.remove(key)

    serve(lambda queue: queue.add("a"), handle)
    assert most == [1, 1]


def test_the_earliest_of_several_delays_wins() -> None:
    times: list[float] = []

    def fill(queue: WorkQueue) -> None:
        times.append(asyncio.get_running_loop().time())
        for seconds in (50, 10, 30):
            queue.add_after("a", seconds)

    async def handle(_queue: WorkQueue, _key: str) -> None:
        times.append(asyncio.get_running_loop().time())

    serve(fill, handle)
    start, handled = times
    assert 10 <= handled - start < 11


def test_an_urgent_key_overtakes_a_long_queue() -> None:
    seen: list[str] = []

    def fill(queue: WorkQueue) -> None:
        for number in range(100):
            queue.add(f"run {number}")
        queue.add("heartbeat", first=True)

    async def handle(_queue: WorkQueue, key: str) -> None:
        seen.append(key)

    serve(fill, handle, workers=1)
    assert seen[0] == "heartbeat"
    assert len(seen) == 101


def served(urgencies: dict[str, int]) -> list[str]:
    """The order in which one worker serves these keys, which are added in this order."""
    seen: list[str] = []

    def fill(queue: WorkQueue) -> None:
        for key in urgencies:
            queue.add(key)

    async def handle(_queue: WorkQueue, key: str) -> None:
        seen.append(key)

    serve(fill, handle, workers=1, urgency_of=urgencies.__getitem__)
    assert len(seen) == len(urgencies)
    return seen


def test_the_most_urgent_key_is_served_first() -> None:
    assert served({"a/new": 2, "a/done": 4, "a/ended": 0, "a/starting": 1}) == [
        "a/ended",
        "a/starting",
        "a/new",
        "a/done",
    ]


def test_namespaces_take_turns_within_one_urgency() -> None:
    many = {f"crowded/{number}": 2 for number in range(100)}
    assert served({**many, "small/x": 2, "small/y": 2})[:4] == ["crowded/0", "small/x", "crowded/1", "small/y"]


def test_no_urgency_waits_for_ever() -> None:
    many = {f"a/{number}": 0 for number in range(100)}
    seen = served({**many, "a/new": 2, "a/working": 3})
    assert seen.index("a/new") < 2 * FAIR_TURNS
    assert seen.index("a/working") < 3 * FAIR_TURNS


def test_a_queued_key_that_becomes_more_urgent_moves_forward() -> None:
    seen: list[str] = []
    urgencies = {"a/1": 2, "a/2": 2, "b/1": 2}

    def fill(queue: WorkQueue) -> None:
        for key in urgencies:
            queue.add(key)
        for urgency in (0, 4):  # what made it urgent has not been looked at yet
            urgencies["a/2"] = urgency
            queue.add("a/2")

    async def handle(_queue: WorkQueue, key: str) -> None:
        seen.append(key)

    serve(fill, handle, workers=1, urgency_of=urgencies.__getitem__)
    assert seen == ["a/2", "a/1", "b/1"]


def test_waits_grow_to_five_minutes_and_start_again_after_success() -> None:
    async def work() -> None:
        queue = WorkQueue(jitter=lambda: 0.5)
        waits = [queue.back_off("a") for _ in range(2000)]
        assert waits[:4] == [1, 2, 4, 8]
        assert waits[-1] == MAX_SECONDS
        assert queue.back_off("b") == 1
        queue.forget_failures("a")
        assert queue.back_off("a") == 1

    run_jumping(work())


@pytest.mark.parametrize(("asked", "waits"), [(0, [1, 2]), (1.5, [1.5, 2]), (60, [60, 60]), (86400, [300, 300])])
def test_a_server_can_ask_for_a_longer_wait_but_not_for_an_endless_one(asked: float, waits: list[float]) -> None:
    async def work() -> None:
        queue = WorkQueue(jitter=lambda: 0.5)
        assert [queue.back_off("a", at_least=asked) for _ in range(2)] == waits

    run_jumping(work())


def test_a_failure_that_causes_its_own_change_is_not_tried_again_at_once() -> None:
    """A Job that vanishes as soon as it is created asks for the next try by its deletion."""
    tries: list[float] = []

    async def handle(queue: WorkQueue, key: str) -> None:
        tries.append(asyncio.get_running_loop().time())
        if len(tries) < 1000:  # at once, they would never let the clock go on
            queue.add(key)
            queue.back_off(key)

    serve(lambda queue: queue.add("a"), handle, seconds=600)
    assert 50 < len(tries) < 80
    assert max(later - earlier for earlier, later in itertools.pairwise(tries)) <= HOLD_SECONDS + 1


def test_a_failed_key_waits_for_its_own_time_where_nothing_changes() -> None:
    tries: list[str] = []

    async def handle(queue: WorkQueue, key: str) -> None:
        tries.append(key)
        queue.add_after(key, 3)  # asked for before the failure
        queue.back_off(key)

    serve(lambda queue: queue.add("a"), handle, seconds=600)
    assert 7 < len(tries) < 13


def test_success_ends_the_wait_of_a_key() -> None:
    seen: list[float] = []

    async def work() -> None:
        queue = WorkQueue()
        loop = asyncio.get_running_loop()

        async def handle(key: str) -> None:
            seen.append(loop.time())
            queue.forget_failures(key)

        for _ in range(5):
            queue.back_off("a")
        worker = asyncio.create_task(queue.work(handle))
        queue.add("a")
        await asyncio.sleep(11)
        queue.add("a")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

    run_jumping(work())
    assert len(seen) == 2


def test_nothing_is_planned_for_a_key_whose_object_is_gone() -> None:
    seen: list[str] = []

    def fill(queue: WorkQueue) -> None:
        queue.add_after("a", 30 * 24 * 3600)
        queue.back_off("b")
        for key in ("a", "b"):
            queue.forget(key)
        assert (queue._timers, queue._failures, queue._held_until) == ({}, {}, {})

    async def handle(_queue: WorkQueue, key: str) -> None:
        seen.append(key)

    serve(fill, handle, seconds=31 * 24 * 3600)
    assert seen == []
