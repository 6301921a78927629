"""Suspend a run and resume it: end the attempt in flight, show what it saved, and from where the run goes on."""

from __future__ import annotations

from typing import Final

from trainingrun.api import reasons
from trainingrun.api.names import Phase, Stage
from trainingrun.domain import missing_object, stopped_attempt
from trainingrun.domain.draft import MAX_CAUSE
from trainingrun.domain.observe import PodView
from trainingrun.domain.progress import training_position
from trainingrun.domain.stage import RECHECK_SECONDS, StageContext
from trainingrun.domain.texts import cut, sentences
from trainingrun.domain.training_start import resumption

REASONS: Final = {reasons.SUSPENDING.name, reasons.SUSPENDED.name}


def end_attempt(context: StageContext, pod: PodView | None) -> None:
    """End the attempt in flight without counting a failure; its pod saves a checkpoint in its grace period."""
    if stopped_attempt.stop(context, pod, reasons.SUSPENDED):
        context.set_not_done(reason=reasons.SUSPENDING, message=_suspending(context))
    else:
        _set_suspended(context, _what_is_saved(context))


def take_verdict(context: StageContext) -> None:
    """Write what the pod of an attempt that the operator ended says, once the pod has ended."""
    over, verdict = stopped_attempt.take_verdict(context)
    if over and context.suspended:
        _set_suspended(context, _what_is_saved(context) if verdict is not None else _what_is_known(context))


def show_suspended(context: StageContext) -> None:
    """Show that the run is suspended, or that its attempt still ends."""
    draft = context.draft
    if stopped_attempt.is_stopping(context):
        context.show(_suspending(context), text=f"{context.phase}: suspending")
        context.decision.requeue(after=RECHECK_SECONDS)
        return
    if missing_object.is_waited_for(context):
        context.attempts.pop("nextRetryAt", None)  # a pause is no back-off: a resumed run looks at once
    if context.reason != reasons.SUSPENDED.name:
        _set_suspended(context, _what_is_saved(context))
    position = training_position(draft.status.get("training", {})) if context.stage is Stage.TRAIN else ""
    draft.show(Phase.SUSPENDED, message=context.message, text=f"{context.phase}{position}")


def note_resumption(context: StageContext) -> None:
    """Emit from where the stage goes on, if it was suspended until now."""
    if context.reason in REASONS:
        message = _resumes(context)
        context.set_not_done(reason=reasons.RESUMED, message=message)
        context.draft.add_event(reasons.RESUMED, message)


def _set_suspended(context: StageContext, said: str) -> None:
    hint = reasons.SUSPENDED.hint
    message = sentences(cut(said, MAX_CAUSE - len(hint) - 2), hint)
    if context.set_not_done(reason=reasons.SUSPENDED, message=message):
        context.draft.add_event(reasons.SUSPENDED, said)


def _suspending(context: StageContext) -> str:
    saves = "saves a checkpoint and ends" if context.stage is Stage.TRAIN else "ends"
    return f"Suspending: attempt {context.attempts['number']} of {context.stage} {saves}."


def _what_is_saved(context: StageContext) -> str:
    """Describe a training by its numbers, which are those of the verdict of its last attempt."""
    numbers = context.draft.status.get("training", {})
    step, steps, saved = numbers.get("step"), numbers.get("steps"), numbers.get("checkpointStep")
    if context.stage is not Stage.TRAIN or (step is None and saved is None):
        return f"Suspended in stage {context.stage}."
    at = f"Suspended in stage {context.stage}" if step is None or not steps else f"Suspended at step {step} of {steps}"
    if saved is None:
        return f"{at}. No checkpoint is in the bucket yet."
    if step is None or saved >= step:
        return f"{at}, checkpoint {saved} saved."
    return f"{at}. The newest checkpoint in the bucket is of step {saved}: training resumes there."


def _what_is_known(context: StageContext) -> str:
    saved = context.draft.status.get("training", {}).get("checkpointStep")
    if context.stage is not Stage.TRAIN:
        return f"Suspended in stage {context.stage}."
    known = "no checkpoint is known" if saved is None else f"the newest checkpoint that is known is of step {saved}"
    return f"Suspended in stage {context.stage}. The attempt left no verdict; {known}."


def _resumes(context: StageContext) -> str:
    training = context.draft.status.get("training", {})
    if context.stage is Stage.TRAIN and "checkpointStep" in training:
        return resumption(training, checkpoint=training["checkpointStep"])
    again = " again" if "number" in context.attempts else ""
    return f"Stage {context.stage} starts{again}: spec.suspend is false."
