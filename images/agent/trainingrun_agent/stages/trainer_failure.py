"""What the end of the trainer or exporter means for the stage.

Invariant: pure. What the container reports decides, except that a container which only reports that it was asked to end
is judged by who asked it: SIGTERM of the pod, or the liveness probe.
"""

from __future__ import annotations

from trainingrun_agent.errors import Interrupted, Outcome, StageError
from trainingrun_agent.reasons import of_trainer
from trainingrun_agent.reasons.pods import DIED, STALLED, STOPPED_WHILE_TRAINING
from trainingrun_agent.reasons.trainer import (
    DEVICE_OUT_OF_MEMORY,
    DIVERGED,
    DIVERGED_AGAIN,
    ONE_IMAGE_TOO_LARGE,
)
from trainingrun_agent.shared.trainer_documents import PHASES, Done
from trainingrun_agent.stages.trainer_session import End


def failure(end: End, *, container: str, batch_size: int, lowered: bool = False) -> StageError | None:
    """Why the stage failed, None when the container reports success.

    `batch_size` is that of the attempt; `lowered` says that it trained with lower rates than the run asks for.
    """
    done = end.done
    if done is not None and done.outcome is not Outcome.INTERRUPTED:
        return (
            None
            if done.outcome is Outcome.SUCCEEDED
            else _as_reported(done, end, container, batch_size, lowered=lowered)
        )
    if end.stopped:
        return Interrupted(STOPPED_WHILE_TRAINING, position=_position(end))
    if end.stall_reason:
        return StageError(STALLED, container=container, complaint=end.stall_reason, position=_position(end))
    if done is not None:
        return _as_reported(done, end, container, batch_size, lowered=lowered)
    return StageError(DIED[container], container=container, position=_position(end))


def _as_reported(done: Done, end: End, container: str, batch_size: int, *, lowered: bool) -> StageError:
    """The trainer knows what happened; which step helps is in the table, for reasons that it knows."""
    message = done.message or f"Container {container} ended{_position(end)}."
    entry = of_trainer(done.reason, done.outcome)
    if entry is DEVICE_OUT_OF_MEMORY and batch_size == 1:
        entry = ONE_IMAGE_TOO_LARGE
    if entry is DIVERGED and lowered:
        entry = DIVERGED_AGAIN
    hint = f"{done.hint.rstrip('. ')}." if done.hint else ""
    return StageError(entry, message=message, hint=hint, container=container)


def _position(end: End) -> str:
    last = end.last
    if last is None:
        return " before its first sign of life"
    doing = PHASES[end.doing or last.phase]
    if last.step is None or not last.steps:
        return f" {doing}"
    return f" at step {last.step} of {last.steps} {doing}"
