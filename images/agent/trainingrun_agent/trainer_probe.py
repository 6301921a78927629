"""The question that the trainer's liveness probe asks; the HTTP server passes it on, a stage answers it."""

from __future__ import annotations

from collections.abc import Callable


class TrainerProbe:
    """Answers `/trainer-alive`: all is well until a stage installs its own check."""

    def __init__(self) -> None:
        self._check: Callable[[], str] = lambda: ""
        self._installed = False
        self._ended_at: float | None = None

    def install(self, check: Callable[[], str]) -> None:
        """Use `check` from now on; it returns why the trainer must be ended, empty while all is well."""
        self._check, self._installed = check, True

    def trainer_ended(self, now: float) -> None:
        """The trainer's container has ended: the kubelet stops asking once it has noticed."""
        self._ended_at = now

    def is_probed(self, now: float, *, after: float) -> bool:
        """Whether there is a trainer that the kubelet asks about, or one that ended less than `after` seconds ago."""
        return self._installed and (self._ended_at is None or now < self._ended_at + after)

    def stall_reason(self) -> str:
        """Why the trainer must be ended, empty while all is well."""
        return self._check()
