"""What the end of the trainer or exporter means.

Invariant: pure. The trainer's own account decides, unless it says no more than that it was told to end: then
who told it decides.
"""

from __future__ import annotations

from trainingrun_agent.errors import Interrupted, Outcome, StageError
from trainingrun_agent.stages.trainer_session import End

SEE_LOG = "See the log of container {container}; out of memory shows in its state as OOMKilled."


def failure(end: End, *, container: str) -> StageError | None:
    """Why the stage failed by what was seen, None when the container says that it succeeded."""
    done = end.done
    if done is not None and done.outcome is not Outcome.INTERRUPTED:
        return None if done.outcome is Outcome.SUCCEEDED else _told(end, container)
    if end.stopped:
        return Interrupted(
            f"SIGTERM arrived{_position(end)}.", hint="The next attempt goes on from the newest checkpoint."
        )
    if end.complaint:
        return StageError(
            Outcome.STALLED,
            "Stalled",
            f"Container {container} was ended because {end.complaint}{_position(end)}.",
            f"See the log of container {container}; spec.train.stallSeconds is the limit.",
        )
    if done is not None:
        return _told(end, container)
    return StageError(
        Outcome.CRASH,
        f"{container.capitalize()}Died",
        f"Container {container} ended without done.json{_position(end)}.",
        SEE_LOG.format(container=container),
    )


def _told(end: End, container: str) -> StageError | None:
    done = end.done
    if done is None:
        return None
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
