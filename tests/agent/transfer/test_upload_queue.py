"""What waits for its upload while uploads are too slow."""

from __future__ import annotations

from trainingrun_agent.shared.trainer_documents import Ready
from trainingrun_agent.transfer.upload_queue import UploadQueue


def ready(step: int) -> Ready:
    return Ready(step, ())


def drain(queue: UploadQueue) -> list[int]:
    return [one.step for one in iter(queue.take, None)]


def test_only_the_newest_waits() -> None:
    queue = UploadQueue()
    assert [queue.put(ready(step)) for step in (10, 20, 30)] == [[], [ready(10)], [ready(20)]]
    assert drain(queue) == [30]


def test_protected_checkpoints_are_not_dropped_until_they_are_not_protected_any_more() -> None:
    protected = {10}
    queue = UploadQueue(protected=lambda: protected)
    assert [queue.put(ready(step)) for step in (10, 20, 30)] == [[], [], [ready(20)]]
    protected.clear()
    protected.add(30)
    assert queue.put(ready(40)) == [ready(10)]
    assert drain(queue) == [30, 40]


def test_the_newest_is_first_when_time_is_short() -> None:
    hurry = [False]
    queue = UploadQueue(protected=lambda: {10, 20}, hurry=lambda: hurry[0])
    for step in (10, 20, 30):
        queue.put(ready(step))
    assert queue.take() == ready(10)
    hurry[0] = True
    assert drain(queue) == [30, 20]


def test_what_is_protected_is_only_asked_when_something_waits() -> None:
    def protected() -> set[int]:
        asked.append(True)
        return set()

    asked: list[bool] = []
    queue = UploadQueue(protected=protected)
    queue.put(ready(10))
    assert not asked
    queue.take()
    queue.put(ready(20))
    assert not asked
    queue.put(ready(30))
    assert asked
