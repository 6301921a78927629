"""The work queue, tested with a clock that skips waiting times."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from trainingrun.engine.workqueue import MAX_SECONDS, WorkQueue
from trfakes.jumping_loop import run_jumping

Handle = Callable[[str], Awaitable[None]]


def serve(
    fill: Callable[[WorkQueue], None],
    handle: Callable[[WorkQueue, str], Awaitable[None]],
    *,
    workers: int = 2,
    seconds: float = 1000,
) -> None:
    """Fill a queue and let workers serve it for a while."""

    async def work() -> None:
        queue = WorkQueue()
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


def test_waits_grow_to_five_minutes_and_start_again_after_success() -> None:
    async def work() -> None:
        queue = WorkQueue(jitter=lambda: 0.5)
        waits = [queue.retry_after("a") for _ in range(2000)]
        assert waits[:4] == [1, 2, 4, 8]
        assert waits[-1] == MAX_SECONDS
        assert queue.retry_after("b") == 1
        queue.forget("a")
        assert queue.retry_after("a") == 1

    run_jumping(work())
