"""Following the other container of the pod, trainer or exporter, from its start to its end.

Invariant: the trainer's account of itself is copied to progress and judged for liveness, never obeyed. The
session ends when the trainer is gone, or when the grace period is nearly over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from trainingrun_agent.context import StageContext
from trainingrun_agent.shared.documents import Done, TrainerProgress, read_done, read_progress
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.shared.liveness import Liveness
from trainingrun_agent.shared.lock import TrainerLock
from trainingrun_agent.stopping import raise_if_stopped

TURN_SECONDS = 0.2
UNHEARD_SECONDS = 300.0
"""How long the kubelet may take to act on the liveness probe before the agent ends without the trainer."""
RESERVE_SECONDS = 3.0
"""Kept of the grace period to write the verdict before SIGKILL."""
_PHASES = {"importing": "waitingForTrainer", "waiting": "waitingForTrainer", "done": "shipping"}


class TrainerGoneError(Exception):
    """The trainer ended while the agent was still fetching."""


@dataclass(frozen=True)
class End:
    """What was seen when the session ended; `gone` is False when only the grace period ended it."""

    gone: bool
    stopped: bool
    done: Done | None
    complaint: str
    last: TrainerProgress | None


class TrainerSession:
    """Used from the stage's thread; the liveness probe asks from the server's."""

    def __init__(self, context: StageContext, folder: Folder) -> None:
        self._context, self._folder = context, folder
        self._clock = context.clock
        self.lock = TrainerLock(folder)
        self._liveness = Liveness(stall_seconds=context.config.resolved.train.stall_seconds, clock=context.clock)
        self._last: TrainerProgress | None = None
        self._stopped_at: float | None = None
        self._waiting_since: float | None = None
        self._complaining_since: float | None = None
        self._working = self._judged = False
        self.gpu_wait_seconds = 0.0

    def begin(self) -> None:
        """Watch for the trainer and answer its liveness probe."""
        self.lock.watch()
        self._context.trainer_probe.install(self._liveness.complaint)

    def while_fetching(self) -> None:
        """One look during the fetch. Raises TrainerGoneError, or Interrupted once SIGTERM was seen."""
        self._look()
        if self._waiting_since is None and self._last is not None and self._last.phase == "waiting":
            self._waiting_since = self._clock.monotonic()
        if self.lock.gone.is_set():
            raise TrainerGoneError
        raise_if_stopped(self._context.stop, "during the fetch", hint="The next attempt fetches again.")

    def work_given(self) -> None:
        """spec.json is written."""
        self._working = True
        if self._waiting_since is not None:
            self.gpu_wait_seconds = self._clock.monotonic() - self._waiting_since

    def follow(self, each_turn: Callable[[], None]) -> End:
        """Until the trainer is gone: copy its progress, call `each_turn` several times a second."""
        while not self.lock.gone.is_set():
            self._look()
            each_turn()
            if self._give_up():
                return self._end(gone=False)
            self._clock.wait(self.lock.gone, TURN_SECONDS)
        self._look()
        return self._end(gone=True)

    def seconds_left(self) -> float | None:
        """What is left of the grace period after the reserve; None while SIGTERM was not seen."""
        if self._stopped_at is None and self._context.stop.is_set():
            self._stopped_at = self._clock.monotonic()
        if self._stopped_at is None:
            return None
        grace = max(0.0, self._context.config.grace_seconds - RESERVE_SECONDS)
        return max(0.0, self._stopped_at + grace - self._clock.monotonic())

    def close(self) -> None:
        """Watch no longer."""
        self.lock.give_up()

    def end(self) -> End:
        """What can be said of a trainer that went away during the fetch."""
        return self._end(gone=True)

    @property
    def step(self) -> int | None:
        """The last step the trainer told of."""
        return self._last.step if self._last else None

    def _look(self) -> None:
        if self._working and not self._judged and self.lock.started.is_set():
            self._judged = True
            self._liveness.work_given()
        progress = read_progress(self._folder)
        if progress is not None and progress.step is not None and progress.steps is None:
            progress = replace(progress, steps=self._context.config.resolved.train.steps)
        self._liveness.observe(progress)
        if progress is not None and progress != self._last:
            self._last = progress
            if self._working:
                self._context.progress.update(**_shown(progress))

    def _give_up(self) -> bool:
        left = self.seconds_left()
        if left is not None:
            return left == 0 or not self.lock.started.is_set()
        now = self._clock.monotonic()
        if not self._liveness.complaint():
            self._complaining_since = None
        elif self._complaining_since is None:
            self._complaining_since = now
        return self._complaining_since is not None and now - self._complaining_since > UNHEARD_SECONDS

    def _end(self, *, gone: bool) -> End:
        return End(
            gone=gone,
            stopped=self._context.stop.is_set(),
            done=read_done(self._folder) if gone else None,
            complaint=self._liveness.last_complaint,
            last=self._last,
        )


def _shown(progress: TrainerProgress) -> dict[str, Any]:
    fields: dict[str, Any] = {"phase": _PHASES.get(progress.phase, progress.phase)}
    known = {
        "step": progress.step,
        "steps": progress.steps,
        "loss": progress.loss,
        "ap50": progress.ap50,
        "mAP": progress.mean_ap,
    }
    fields.update({name: value for name, value in known.items() if value is not None})
    if progress.phase == "training" and progress.step is not None:
        return fields | {"done": progress.step, "total": progress.steps, "unit": "steps"}
    if progress.phase in ("evaluating", "inferring") and progress.done is not None:
        return fields | {"done": progress.done, "total": progress.total, "unit": "images"}
    return fields
