"""A budget of memory shared by threads.

Invariant: what is held never exceeds the total, except by one holder alone that needs more than all of it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """`total` in bytes."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait until `size` bytes are free, and keep them for the block."""
        size = min(size, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._held + size <= self._total)
            self._held += size
        try:
            yield
        finally:
            with self._changed:
                self._held -= size
                self._changed.notify_all()
