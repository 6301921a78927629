"""What the runs share: the installation, and whose turn it is to inject a fault.

Invariant: a fault that costs other runs steps, or ends their attempts, is injected while no other fault is going on:
the loss of each run then has one cause. All other faults overlap.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from trchaosnode.kinds import Kind
from trchaosnode.plan import Fault
from trdemo.faults import Faults

ALONE = (Kind.S3_KILLED, Kind.NODE_LOST)


class Turns:
    """Any number of faults at a time, or one alone, for which those that come after it wait; `waiting` counts such."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._together, self.waiting, self._alone = 0, 0, False

    def of(self, fault: Fault) -> AbstractContextManager[None]:
        """The turn of a fault."""
        return self._turn_alone() if fault.kind in ALONE else self._turn_together()

    @contextmanager
    def _turn_together(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self.waiting)
            self._together += 1
        try:
            yield
        finally:
            with self._changed:
                self._together -= 1
                self._changed.notify_all()

    @contextmanager
    def _turn_alone(self) -> Iterator[None]:
        with self._changed:
            self.waiting += 1
            self._changed.wait_for(lambda: not self._alone and not self._together)
            self.waiting -= 1
            self._alone = True
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()


class World:
    """The installation with its faults, for all lanes."""

    def __init__(self, faults: Faults, echo: Callable[[str], None]) -> None:
        self.faults, self.echo = faults, echo
        self.turns = Turns()
        self.failed = threading.Event()
        self.nodes_lost = 0
        self._parts: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def only(self, part: str) -> AbstractContextManager[object]:
        """Wait until nobody else has this part of the cluster down: the operator, the node's daemons, S3."""
        return self._parts[part]
