"""Checks of spec.export in prep, so that a mistake does not show only after the training.

Invariant: no I/O.
"""

from __future__ import annotations

from trainingrun_agent.config import Resolved
from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.model.class_names import nearest
from trainingrun_agent.reasons.exporting import EXPORT_CHECKPOINT_NEVER_SAVED, GATE_CLASS_UNKNOWN

MAX_NAMES = 10


def check_export(resolved: Resolved) -> None:
    """Raise UserError for a step at which no checkpoint is saved, and for a gate of a class that is not learned."""
    _check_step(resolved)
    _check_gate(resolved)


def _check_step(resolved: Resolved) -> None:
    step, train = resolved.export.checkpoint, resolved.train
    if not isinstance(step, int) or step == train.steps:
        return
    if not 0 < step < train.steps or step % train.save_every_steps:
        raise UserError(EXPORT_CHECKPOINT_NEVER_SAVED, step=step, every=train.save_every_steps, steps=train.steps)


def _check_gate(resolved: Resolved) -> None:
    gate, classes = resolved.export.gate, resolved.dataset.classes
    bars = gate.per_class if gate else ()
    unknown = [bar.name for bar in bars if bar.name is not None and bar.name not in classes]
    if unknown:
        raise UserError(GATE_CLASS_UNKNOWN, names=", ".join(_named(name, classes) for name in unknown[:MAX_NAMES]))


def _named(name: str, classes: tuple[str, ...]) -> str:
    near = nearest(name, classes)
    return f"{name!r} (nearest: {near!r})" if near else repr(name)
