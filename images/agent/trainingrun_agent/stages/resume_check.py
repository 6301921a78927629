"""Checks of spec.resumeFrom in prep, so that a run that cannot be continued costs no GPU time.

Invariant: what passes here, training can resume from, unless the checkpoint is deleted meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import UserError
from trainingrun_agent.log import logger
from trainingrun_agent.pipeline.start import listed
from trainingrun_agent.pipeline.variables import differences, trains_batch_norm
from trainingrun_agent.reasons.resume import (
    RESUME_CLASSES,
    RESUME_MISMATCH,
    RESUME_NO_CHECKPOINT,
    RESUME_NOT_FOUND,
    RESUME_OTHER_NETWORK,
    RESUME_STEPS,
    RESUME_UNREADABLE,
)
from trainingrun_agent.terms import Change, Place
from trainingrun_agent.transfer.other_run import OtherRun
from trainingrun_agent.transfer.resume import newest_complete

_IN_WORDS = {
    "Same": "with the same data set",
    "Changed": "with another data set",
    "Unknown": "maybe with another data set (that run recorded none)",
}


class ResumeCheck:
    """The run to continue; `step` is that of its newest complete checkpoint."""

    def __init__(self, other: OtherRun, step: int) -> None:
        self._other, self.step = other, step

    @classmethod
    def begin(cls, context: StageContext, *, pipeline_config: str) -> ResumeCheck | None:
        """Check all but the data, before it is prepared; None without spec.resumeFrom."""
        other, resolved = OtherRun.of(context), context.config.resolved
        if other is None:
            return None
        found = newest_complete(other.store, other.checkpoints())
        if found is None:
            raise UserError(RESUME_NO_CHECKPOINT if other.exists() else RESUME_NOT_FOUND, place=other.uri)
        steps = resolved.train.steps
        if steps <= found.step:
            change = Change("train.steps", now=steps, to=found.step + steps)
            raise UserError(RESUME_STEPS, steps=steps, step=found.step, place=other.uri, change=change)
        theirs = other.resolved()
        _check_network(other, theirs, network=resolved.model.network)
        _check_classes(other, theirs, classes=resolved.dataset.classes)
        _check_model(other, pipeline_config)
        return cls(other, found.step)

    def finish(self, data_digest: str) -> dict[str, Any]:
        """Compare the data; returns the object `resumedFrom` of the verdict."""
        known = self._other.data_digest()
        dataset = "Unknown" if known is None else "Same" if known == data_digest else "Changed"
        found = {"uri": str(self._other.uri), "step": self.step, "dataset": dataset}
        logger.info("checkpoint found%s", in_words({"resumedFrom": found}))
        return found


def trained_batch_norm(context: StageContext) -> bool | None:
    """Whether the run to continue trains its batch normalization; None where nothing says so, which `begin` judges.

    Its weights go with one of the two: with other averages than before, a network detects worse at once.
    """
    other = OtherRun.of(context)
    try:
        return None if other is None else trains_batch_norm(other.pipeline_config())
    except UserError:
        return None


def in_words(numbers: Mapping[str, Any]) -> str:
    """What the verdict says of its object `resumedFrom`, to follow a sentence; empty without it.

    Short, without the address: of a stage that is done, the status shows the first 200 characters.
    """
    found = numbers.get("resumedFrom")
    if not isinstance(found, dict):
        return ""
    return f"; training continues from step {found['step']}, {_IN_WORDS[found['dataset']]}"


def _check_network(other: OtherRun, theirs: dict[str, Any], *, network: str) -> None:
    model = theirs.get("model")
    known = model.get("network") if isinstance(model, dict) else None
    if isinstance(known, str) and known != network:
        change = Change("model.network", now=network, to=known)
        raise UserError(RESUME_OTHER_NETWORK, ours=network, theirs=known, place=other.uri, change=change)


def _check_model(other: OtherRun, pipeline_config: str) -> None:
    parts = differences(other.pipeline_config(), pipeline_config)
    place = Place(other.store.bucket, other.keys.pipeline_config)
    if parts is None:
        raise UserError(RESUME_UNREADABLE, place=place, problem=": it is not a configuration of a known network")
    if parts:
        raise UserError(RESUME_MISMATCH, place=place, parts=", ".join(parts))


def _check_classes(other: OtherRun, theirs: dict[str, Any], *, classes: Sequence[str]) -> None:
    dataset = theirs.get("dataset")
    known = dataset.get("classes") if isinstance(dataset, dict) else None
    if not isinstance(known, list) or not all(isinstance(name, str) for name in known):
        place = Place(other.store.bucket, other.keys.description)
        raise UserError(RESUME_UNREADABLE, place=place, problem=": it names no classes")
    if known != list(classes):
        order = ", which are the same in another order" if sorted(known) == sorted(classes) else ""
        raise UserError(
            RESUME_CLASSES,
            ours=f"[{listed(classes)}]",
            theirs=f"[{listed(known)}]",
            order=order,
            place=other.uri,
            change=Change("dataset.classes", to=known) if len(known) <= len(classes) + 3 else Change("dataset.classes"),
        )
