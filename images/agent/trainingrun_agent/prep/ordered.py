"""Work in threads, results in order.

Invariant: at most `max_items` items and `max_cost` of their cost are under way or waiting to be taken, so
memory is bounded whatever the number of items; results come in the order of the items.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

from trainingrun_agent.errors import Interrupted

STOP_POLL_SECONDS = 0.2

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Bounds:
    """How much may be under way: items, and the sum of the items' costs."""

    max_items: int
    max_cost: int


def ordered_map(
    work: Callable[[T], R],
    items: Iterable[T],
    *,
    cost: Callable[[T], int],
    bounds: Bounds,
    stop: threading.Event,
    pool: ThreadPoolExecutor,
) -> Iterator[R]:
    """Yield `work(item)` for each item, in order. Raises what `work` raises, Interrupted when told to stop."""
    pending: deque[tuple[Future[R], int]] = deque()
    under_way = 0
    try:
        for item in items:
            price = cost(item)
            while pending and (len(pending) >= bounds.max_items or under_way + price > bounds.max_cost):
                future, paid = pending.popleft()
                under_way -= paid
                yield _result(future, stop)
            pending.append((pool.submit(work, item), price))
            under_way += price
        while pending:
            yield _result(pending.popleft()[0], stop)
    finally:
        for future, _ in pending:
            future.cancel()


def _result(future: Future[R], stop: threading.Event) -> R:
    while True:
        heed(stop)
        if wait((future,), timeout=STOP_POLL_SECONDS).done:
            return future.result()


def heed(stop: threading.Event) -> None:
    """Raises Interrupted when the pod was told to stop."""
    if stop.is_set():
        raise Interrupted(
            "the pod was told to stop before the data set was complete",
            hint="The next attempt starts by itself.",
        )
