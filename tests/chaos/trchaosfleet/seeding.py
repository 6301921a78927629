"""Random numbers from a text: no two uses of a seed share a generator, so a change in one leaves the others alone."""

from __future__ import annotations

import random


def seeded(text: str) -> random.Random:
    """Return the generator of a text."""
    return random.Random(text)
