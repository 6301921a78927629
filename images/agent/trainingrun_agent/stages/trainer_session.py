"""Follows the other container of the pod, trainer or exporter, from its start to its end.

Invariant: what the trainer reports is copied to progress and checked for liveness, never trusted. The session ends when
the trainer is gone, or when the grace period is nearly over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from trainingrun_agent.context import StageContext
from trainingrun_agent.reasons.pods import STOPPED_WHILE_FETCHING
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.shared.liveness import Liveness
from trainingrun_agent.shared.lock import TrainerLock
from trainingrun_agent.shared.trainer_documents import (
    DONE,
    Done,
    Restored,
    TrainerProgress,
    read_done,
    read_progress,
)
from trainingrun_agent.shared.training_time import TrainingTime
from trainingrun_agent.stopping import raise_if_stopped

TURN_SECONDS = 0.2
GIVE_UP_SECONDS = 300.0
"""How long the kubelet may take to end a stalled trainer before the agent ends without it."""
RESERVE_SECONDS = 8.0
"""Part of the grace period that is reserved for the logs and the verdict before SIGKILL."""
_PHASES = {"importing": "waitingForTrainer", "waiting": "waitingForTrainer", DONE: "shipping"}


class TrainerGoneError(Exception):
    """The trainer ended while the agent was still fetching."""


@dataclass(frozen=True)
class End:
    """What is known when the session ends.

    `gone` is False when only the grace period ended it. `done` and `last` are what the trainer reported, `doing` is its
    last phase before it ended, and `stall_reason` is why its liveness probe has ended it, empty if it has not.
    """

    gone: bool
    stopped: bool
    done: Done | None
    stall_reason: str
    last: TrainerProgress | None
    doing: str = ""


class TrainerSession:
    """Used from the stage's thread; the server's thread asks for the trainer's liveness."""

    def __init__(self, context: StageContext, folder: Folder) -> None:
        self._context, self._folder = context, folder
        self._clock = context.clock
        self.lock = TrainerLock(folder)
        self._liveness = Liveness(stall_seconds=context.config.resolved.train.stall_seconds, clock=context.clock)
        self._last: TrainerProgress | None = None
        self._doing = ""
        self._stopped_at: float | None = None
        self._waiting_since: float | None = None
        self._stalled_since: float | None = None
        self._working = self._checked = False
        self.gpu_wait_seconds = 0.0
        self.training_time = TrainingTime(context.clock)

    def begin(self) -> None:
        """Start watching for the trainer and answering its liveness probe."""
        self.lock.watch()
        self._context.trainer_probe.install(self._liveness.stall_reason)

    def check_while_fetching(self) -> None:
        """Look at the trainer during the fetch. Raises TrainerGoneError, or Interrupted after SIGTERM."""
        self._observe()
        if self._waiting_since is None and self._last is not None and self._last.phase == "waiting":
            self._waiting_since = self._clock.monotonic()
        if self.lock.gone.is_set():
            raise TrainerGoneError
        raise_if_stopped(self._context.stop, STOPPED_WHILE_FETCHING)

    def work_given(self) -> None:
        """The trainer has spec.json: from now on it must make progress."""
        self._working = True
        if self._waiting_since is not None:
            self.gpu_wait_seconds = self._clock.monotonic() - self._waiting_since

    def follow(self, each_turn: Callable[[], None]) -> End:
        """Until the trainer is gone, copy its progress and call `each_turn` several times a second."""
        while not self.lock.gone.is_set():
            self._observe()
            each_turn()
            if self._must_give_up():
                return self._end(gone=False)
            self._clock.wait(self.lock.gone, TURN_SECONDS)
        self._observe()
        return self._end(gone=True)

    def seconds_left(self) -> float | None:
        """What is left of the grace period without the reserve; None before SIGTERM."""
        if self._stopped_at is None and self._context.stop.is_set():
            self._stopped_at = self._clock.monotonic()
        if self._stopped_at is None:
            return None
        grace = max(0.0, self._context.config.grace_seconds - RESERVE_SECONDS)
        return max(0.0, self._stopped_at + grace - self._clock.monotonic())

    def close(self) -> None:
        """Stop watching."""
        self.lock.stop_waiting()

    def end(self) -> End:
        """How a trainer ended that stopped while its input was downloaded."""
        return self._end(gone=True)

    @property
    def step(self) -> int | None:
        """The last step that the trainer reported."""
        return self._last.step if self._last else None

    @property
    def restored(self) -> Restored | None:
        """How much of the pretrained weights the trainer reported to have loaded."""
        return self._last.restored if self._last else None

    def _observe(self) -> None:
        if self._working and not self._checked and self.lock.started.is_set():
            self._checked = True
            self._liveness.work_given()
        progress = read_progress(self._folder)
        if progress is not None and progress.step is not None and progress.steps is None:
            progress = replace(progress, steps=self._context.config.resolved.train.steps)
        self._liveness.observe(progress)
        self.training_time.observe(progress)
        if progress is not None and progress != self._last:
            self._last = progress
            self._doing = self._doing if progress.phase == DONE else progress.phase
            if self._working:
                self._context.progress.update(**_shown(progress), trainingSeconds=self.training_time.seconds)

    def _must_give_up(self) -> bool:
        left = self.seconds_left()
        if left is not None:
            return left == 0 or not self.lock.started.is_set()
        now = self._clock.monotonic()
        if not self._liveness.stall_reason():
            self._stalled_since = None
        elif self._stalled_since is None:
            self._stalled_since = now
        return self._stalled_since is not None and now - self._stalled_since > GIVE_UP_SECONDS

    def _end(self, *, gone: bool) -> End:
        if gone:
            self._context.trainer_probe.trainer_ended(self._clock.monotonic())
        return End(
            gone=gone,
            stopped=self._context.stop.is_set(),
            done=read_done(self._folder) if gone else None,
            stall_reason=self._liveness.reason_of_end(),
            last=self._last,
            doing=self._doing,
        )


def _shown(progress: TrainerProgress) -> dict[str, Any]:
    fields: dict[str, Any] = {"phase": _PHASES.get(progress.phase, progress.phase)}
    known = {
        "step": progress.step,
        "steps": progress.steps,
        "loss": progress.loss,
        "ap50": progress.ap50,
        "mAP": progress.mean_ap,
        "best": progress.best,
    }
    fields.update({name: value for name, value in known.items() if value is not None})
    if progress.phase == "training" and progress.step is not None:
        return fields | {"done": progress.step, "total": progress.steps, "unit": "steps"}
    if progress.phase in ("evaluating", "inferring") and progress.done is not None:
        return fields | {"done": progress.done, "total": progress.total, "unit": "images"}
    return fields
