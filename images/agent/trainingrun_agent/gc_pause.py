"""Objects made by the hundred thousand that stay: Python need not look through them for cycles again and again.

For 100,000 images that search took a third of the time in which nothing but a few of them had to be checked.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """What the block makes is freed when nothing refers to it any more, but cycles in it are not looked for."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
