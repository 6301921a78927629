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

from trainingrun_agent.stopping import raise_if_stopped

STOP_POLL_SECONDS = 0.2

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Bounds:
    """How much may be under way: items, and the sum of the items' costs."""

    max_items: int
    max_cost: int


_SINGLE = Bounds(max_items=1, max_cost=0)


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
    for results in ordered_groups(work, items, cost=cost, bounds=bounds, group=_SINGLE, stop=stop, pool=pool):
        yield from results


def ordered_groups(
    work: Callable[[T], R],
    items: Iterable[T],
    *,
    cost: Callable[[T], int],
    bounds: Bounds,
    group: Bounds,
    stop: threading.Event,
    pool: ThreadPoolExecutor,
) -> Iterator[list[R]]:
    """As ordered_map, but results that are there already come together: at most a `group`, or one that is larger."""
    pending: deque[tuple[Future[R], int]] = deque()
    under_way = 0
    try:
        for item in items:
            price = cost(item)
            while pending and (len(pending) >= bounds.max_items or under_way + price > bounds.max_cost):
                results, paid = _next_group(pending, group, stop)
                under_way -= paid
                yield results
            pending.append((pool.submit(work, item), price))
            under_way += price
        while pending:
            yield _next_group(pending, group, stop)[0]
    finally:
        for future, _ in pending:
            future.cancel()


def _next_group(pending: deque[tuple[Future[R], int]], group: Bounds, stop: threading.Event) -> tuple[list[R], int]:
    """Waits for the first; with what they cost."""
    future, paid = pending.popleft()
    results = [_result(future, stop)]
    while pending and len(results) < group.max_items and paid + pending[0][1] <= group.max_cost:
        if not pending[0][0].done():
            break
        future, price = pending.popleft()
        results.append(future.result())
        paid += price
    return results, paid


def _result(future: Future[R], stop: threading.Event) -> R:
    raise_if_stopped(stop)
    while not future.done():
        wait((future,), timeout=STOP_POLL_SECONDS)
        raise_if_stopped(stop)
    return future.result()
