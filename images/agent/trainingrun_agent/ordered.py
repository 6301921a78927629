"""Work in threads with results in order.

Invariant: results have the order of the items. At most `max_items` items, or `max_cost` of their cost, are in progress
or waiting to be yielded, so memory is bounded for any number of items.
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
    """Limits of what is in progress: the number of items, and the sum of their costs."""

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
    """Yield `work(item)` for each item, in order. Raises what `work` raises, Interrupted once `stop` is set."""
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
    """Like ordered_map, but yields finished results together: at most `group` of them, or one larger result."""
    pending: deque[tuple[Future[R], int]] = deque()
    in_progress = 0
    try:
        for item in items:
            price = cost(item)
            while pending and (len(pending) >= bounds.max_items or in_progress + price > bounds.max_cost):
                results, paid = _next_group(pending, group, stop)
                in_progress -= paid
                yield results
            pending.append((pool.submit(work, item), price))
            in_progress += price
        while pending:
            yield _next_group(pending, group, stop)[0]
    finally:
        for future, _ in pending:
            future.cancel()


def _next_group(pending: deque[tuple[Future[R], int]], group: Bounds, stop: threading.Event) -> tuple[list[R], int]:
    """Wait for the first result, add those that are finished too; returns them and their cost."""
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
