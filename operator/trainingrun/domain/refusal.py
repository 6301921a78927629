"""The error for a spec that the API server accepted and the operator refuses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)  # not frozen: Python writes the traceback into every exception that passes a `with`
class NotAcceptedError(Exception):
    """The spec cannot run now; `waits` when this can change without the user, as when another run finishes."""

    reason: str
    message: str
    waits: bool = False
