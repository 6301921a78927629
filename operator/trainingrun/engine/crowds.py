"""Which runs of each namespace wait for room, and which have a TensorBoard that can make some: an index of the cache.

Invariant: it follows from the stored statuses alone. Asking costs nothing, however many runs a namespace has.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from trainingrun.api.run import Run
from trainingrun.domain.crowd import Crowd, has_board, has_idle_board, waits_for_room
from trainingrun.engine.packed import UNREADABLE


class Crowds:
    """Keys of runs by namespace."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[str]] = {}
        self._idle_boards: dict[str, set[str]] = {}
        self._boards: dict[str, set[str]] = {}

    def of(self, namespace: str) -> Crowd:
        """Return what is known of a namespace now; a decision is made before anything else can happen."""
        return Crowd(self._waiting.get(namespace, set()), self._idle_boards.get(namespace, set()))

    def put(self, run: Run) -> None:
        """Take over the newest version of a run."""
        facts = ((self._waiting, waits_for_room), (self._idle_boards, has_idle_board), (self._boards, has_board))
        for table, fact in facts:
            _mark(table, run, holds=_holds(fact, run))

    def drop(self, run: Run) -> None:
        """Forget a deleted run."""
        for table in (self._waiting, self._idle_boards, self._boards):
            _mark(table, run, holds=False)

    def shows_board(self, run: Run) -> bool:
        """Return whether the stored status of a run shows a TensorBoard."""
        return run.key in self._boards.get(run.namespace, ())

    def with_boards(self) -> list[str]:
        """Return the keys of all runs whose status shows a TensorBoard."""
        return [key for keys in self._boards.values() for key in keys]


def _holds(fact: Callable[[Run], bool], run: Run) -> bool:
    with suppress(*UNREADABLE):
        return fact(run)
    return False


def _mark(table: dict[str, set[str]], run: Run, *, holds: bool) -> None:
    if holds:
        table.setdefault(run.namespace, set()).add(run.key)
        return
    known = table.get(run.namespace, set())
    known.discard(run.key)
    if not known:
        table.pop(run.namespace, None)
