"""spec.finish: end training early. The attempt that trains saves a checkpoint; the next one evaluates it and succeeds.

The field is mutable, and what counts is what it says now: an attempt that is not what it asks for makes way for another
one, without a failure. What it asks for before training starts, or while the run is suspended, is kept until then.
`status.finish` is the value that was answered with an Event, so each change is answered once.
"""

from __future__ import annotations

from typing import Final

from trainingrun.api import conditions, reasons
from trainingrun.api.names import Stage
from trainingrun.api.reason import Reason
from trainingrun.domain import stopped_attempt
from trainingrun.domain.draft import Draft
from trainingrun.domain.observe import PodView
from trainingrun.domain.resolve import Resolved
from trainingrun.domain.stage import RECHECK_SECONDS, StageContext
from trainingrun.domain.training_options import are_known_to

_AFTER: Final = "What is trained until then is evaluated and exported."


def is_asked(draft: Draft) -> bool:
    """Whether `spec.finish` is true."""
    return bool(draft.run.spec.get("finish"))


def is_wanted(context: StageContext) -> bool:
    """Whether an attempt that starts now has to end training."""
    return context.stage is Stage.TRAIN and is_asked(context.draft) and are_known_to(context.resolved)


def needs_other_attempt(context: StageContext) -> bool:
    """Whether the attempt in flight trains on although it should end training, or the other way round."""
    if context.stage is not Stage.TRAIN or not context.resolved:
        return False
    return bool(context.attempts.get("changes", {}).get("finish")) != is_wanted(context)


def end_attempt(context: StageContext, pod: PodView | None) -> None:
    """End the attempt in flight without counting a failure; its pod saves a checkpoint in its grace period."""
    number = context.attempts["number"]
    saves = stopped_attempt.stop(context, pod, reasons.FINISHING)
    what = "saves a checkpoint and ends" if saves else "was ended before it began to train"
    then = "the next one evaluates it" if is_wanted(context) else "the next one trains on, because spec.finish is false"
    context.set_not_done(reason=reasons.FINISHING, message=f"Attempt {number} of {context.stage} {what}; {then}.")


def is_waited_for(context: StageContext) -> bool:
    """Whether the pod of an attempt that was ended for `spec.finish` still saves its checkpoint."""
    return context.reason == reasons.FINISHING.name and stopped_attempt.is_stopping(context)


def show_wait(context: StageContext) -> None:
    """Show that the attempt saves its checkpoint."""
    context.show(context.message, text=f"{context.phase}: {'finishing' if is_wanted(context) else 'going on'}")
    context.decision.requeue(after=RECHECK_SECONDS)


def answer(draft: Draft, resolved: Resolved | None) -> None:
    """Emit what a change of `spec.finish` brings about, once."""
    asked, ended = is_asked(draft), draft.is_true(conditions.FINISHED)
    if asked == draft.status.get("finish", False) or (resolved is None and not ended):
        return
    if asked:
        draft.status["finish"] = True
        reason, message = _effect(draft, resolved)
        draft.add_event(reason, message)
        return
    del draft.status["finish"]
    if not ended and not draft.stage_done(Stage.TRAIN):
        draft.add_event(reasons.FINISH_TAKEN_BACK, "spec.finish is false again: training goes on to its last step.")


def _effect(draft: Draft, resolved: Resolved | None) -> tuple[Reason, str]:
    if draft.stage_done(Stage.TRAIN):
        return reasons.FINISH_IGNORED, "spec.finish has no effect: training has ended already."
    if resolved is not None and not are_known_to(resolved):
        return reasons.FINISH_IGNORED, (
            "spec.finish has no effect: the run was accepted by an earlier version of the operator, and its agent "
            "cannot end training early."
        )
    if draft.is_true(conditions.FINISHED):
        again = f"Raise spec.retry to {draft.retry + 1} as well: training then ends at once."
        return reasons.FINISHING, f"spec.finish is true, and the run has failed. {again} {_AFTER}"
    if draft.run.spec.get("suspend"):
        return reasons.FINISHING, f"spec.finish is true: training ends as soon as the run is resumed. {_AFTER}"
    if draft.attempts(Stage.TRAIN).get("number", 0) > 1 or draft.status.get("training", {}).get("step"):
        return reasons.FINISHING, f"spec.finish is true: training ends now. {_AFTER}"
    return reasons.FINISHING, "spec.finish is true: training ends after its first step, with a model of little use."
