"""Map a function over items in several threads; results come in the order of the items.

Invariant: at most `max_items` items, with costs of at most `max_cost` together, are in work or wait to be taken. So
memory is bounded whatever the number of items. An item that costs more is worked on alone.
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
    """Bounds of a number of items, and of the sum of their costs."""

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
    """Yield `work(item)` for each item, in order. Raises what `work` raises, and Interrupted if `stop` is set."""
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
    """Like ordered_map, but yield results that are ready together, within the bounds of `group`; at least one."""
    pending: deque[tuple[Future[R], int]] = deque()
    pending_cost = 0
    try:
        for item in items:
            price = cost(item)
            while pending and (len(pending) >= bounds.max_items or pending_cost + price > bounds.max_cost):
                results, paid = _next_group(pending, group, stop)
                pending_cost -= paid
                yield results
            pending.append((pool.submit(work, item), price))
            pending_cost += price
        while pending:
            yield _next_group(pending, group, stop)[0]
    finally:
        for future, _ in pending:
            future.cancel()


def _next_group(pending: deque[tuple[Future[R], int]], group: Bounds, stop: threading.Event) -> tuple[list[R], int]:
    """Wait for the first result, add the ones that are ready; return them and their cost."""
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
