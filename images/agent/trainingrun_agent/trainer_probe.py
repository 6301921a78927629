"""The question that the trainer's liveness probe asks; the HTTP server passes it on, a stage answers it."""

from __future__ import annotations

from collections.abc import Callable


class TrainerProbe:
    """Answers `/trainer-alive`: all is well until a stage installs its own check."""

    def __init__(self) -> None:
        self._check: Callable[[], str] = lambda: ""

    def install(self, check: Callable[[], str]) -> None:
        """Use `check` from now on; it returns why the trainer must be ended, empty while all is well."""
        self._check = check

    def stall_reason(self) -> str:
        """Why the trainer must be ended, empty while all is well."""
        return self._check()
