"""The refusal of a spec that the API server had let through."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)  # not frozen: Python writes the traceback into every exception that passes a `with`
class NotAcceptedError(Exception):
    """The spec cannot run as it is; `waits` when that can change without the user (another run finishes)."""

    reason: str
    message: str
    waits: bool = False
