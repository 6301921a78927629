"""The queue of keys, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from trainingrun.engine.workqueue import MAX_SECONDS, WorkQueue

pytestmark = pytest.mark.looptime
Handle = Callable[[str], Awaitable[None]]


async def serve(queue: WorkQueue, handle: Handle, *, workers: int = 2, seconds: float = 1000) -> None:
    tasks = [asyncio.create_task(queue.work(handle)) for _ in range(workers)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_key_is_handled_once_however_often_it_was_added() -> None:
    queue, seen = WorkQueue(), []

    async def handle(key: str) -> None:
        seen.append(key)

    for key in ("a", "a", "b", "a"):
        queue.add(key)
    assert len(queue) == 2
    await serve(queue, handle)
    assert seen == ["a", "b"]


async def test_a_key_is_never_handled_twice_at_once_and_once_more_after_news() -> None:
    queue, active, runs = WorkQueue(), 0, 0

    async def handle(key: str) -> None:
        nonlocal active, runs
        active += 1
        runs += 1
        assert active == 1
        if runs == 1:
            queue.add(key)
            queue.add(key)
        await asyncio.sleep(5)
        active -= 1

    queue.add("a")
    await serve(queue, handle)
    assert runs == 2


async def test_the_earliest_of_several_delays_wins() -> None:
    queue, times = WorkQueue(), []
    start = asyncio.get_running_loop().time()

    async def handle(key: str) -> None:
        times.append(round(asyncio.get_running_loop().time() - start, 3))

    queue.add_after("a", 50)
    queue.add_after("a", 10)
    queue.add_after("a", 30)
    await serve(queue, handle)
    assert times == [10]


async def test_an_urgent_key_overtakes_a_long_queue() -> None:
    queue, seen = WorkQueue(), []

    async def handle(key: str) -> None:
        seen.append(key)
        await asyncio.sleep(1)

    for number in range(100):
        queue.add(f"run {number}")
    queue.add("heartbeat", first=True)
    await serve(queue, handle, workers=1, seconds=1)
    assert seen[0] == "heartbeat"


def test_waits_grow_to_five_minutes_and_start_again_after_success() -> None:
    queue = WorkQueue(jitter=lambda: 0.5)
    waits = [queue.retry_after("a") for _ in range(12)]
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == MAX_SECONDS
    assert queue.retry_after("b") == 1
    queue.forget("a")
    assert queue.retry_after("a") == 1


def test_a_thousand_failures_do_not_overflow() -> None:
    queue = WorkQueue(jitter=lambda: 0.5)
    assert [queue.retry_after("a") for _ in range(2000)][-1] == MAX_SECONDS
