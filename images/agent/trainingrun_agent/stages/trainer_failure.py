"""What the end of the trainer or exporter means for the stage.

Invariant: pure. What the container reports decides, except that a container which only reports that it was asked to end
is judged by who asked it: SIGTERM of the pod, or the liveness probe.
"""

from __future__ import annotations

from trainingrun_agent.errors import Interrupted, Outcome, StageError
from trainingrun_agent.shared.documents import Done
from trainingrun_agent.stages.trainer_session import End

SEE_LOG = "See the log of container {container}; out of memory shows in its state as OOMKilled."


def failure(end: End, *, container: str) -> StageError | None:
    """Why the stage failed, None when the container reports success."""
    done = end.done
    if done is not None and done.outcome is not Outcome.INTERRUPTED:
        return None if done.outcome is Outcome.SUCCEEDED else _as_reported(done, end, container)
    if end.stopped:
        return Interrupted(
            f"SIGTERM arrived{_position(end)}.", hint="The next attempt resumes from the newest checkpoint."
        )
    if end.stall_reason:
        return StageError(
            Outcome.STALLED,
            "Stalled",
            f"Container {container} was ended because {end.stall_reason}{_position(end)}.",
            f"See the log of container {container}; spec.train.stallSeconds is the limit.",
        )
    if done is not None:
        return _as_reported(done, end, container)
    return StageError(
        Outcome.CRASH,
        f"{container.capitalize()}Died",
        f"Container {container} ended without done.json{_position(end)}.",
        SEE_LOG.format(container=container),
    )


def _as_reported(done: Done, end: End, container: str) -> StageError:
    return StageError(
        done.outcome,
        done.reason,
        done.message or f"Container {container} ended{_position(end)}.",
        done.hint or SEE_LOG.format(container=container),
    )


def _position(end: End) -> str:
    last = end.last
    if last is None:
        return " before its first sign of life"
    if last.step is None or not last.steps:
        return f" while {last.phase}"
    return f" at step {last.step} of {last.steps} while {last.phase}"
