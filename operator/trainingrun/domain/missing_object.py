"""A Secret, ServiceAccount or ConfigMap that does not exist: the wait holds no node, and names what may be meant.

A pod that mounts such an object has a node, with the CPU, memory and GPU that it asks for, and never starts; without
its ServiceAccount it is not created, and the Job controller tries again ever more rarely. Nobody tells the operator
when the object is created: it may not read Secrets. So it gives the attempt up and tries again after a pause. All tries
are one wait: condition, Progress column, start deadline and Event stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from trainingrun.api import clock, conditions, reasons
from trainingrun.api.run import Run
from trainingrun.domain import attempts, lasting, start_deadline
from trainingrun.domain.accounting import Ending, close_attempt
from trainingrun.domain.draft import MAX_CAUSE, MAX_MESSAGE
from trainingrun.domain.history import REPLACED
from trainingrun.domain.near_misses import did_you_mean
from trainingrun.domain.observe import JobView, PodView
from trainingrun.domain.stage import StageContext
from trainingrun.domain.texts import cut, sentences
from trainingrun.domain.waiting import STARTS, Cause

PATIENCE_SECONDS: Final = 20  # longer than it takes to create the object together with the run
PAUSE_SECONDS: Final = (30, 120)  # at first, and at most
TRY_SECONDS: Final = 15  # from the creation of a Job until its pod can have failed to mount
_MISSING: Final = {
    reasons.SECRET_MISSING.name,
    reasons.SERVICE_ACCOUNT_MISSING.name,
    reasons.CONFIG_MAP_MISSING.name,
}
_NAME: Final = re.compile(r'(secret|configmap|serviceaccount)s? "([^"]+)" not found', re.IGNORECASE)

_CREDENTIALS: Final = {"secret": "secretName", "serviceaccount": "serviceAccountName"}


def is_waited_for(context: StageContext) -> bool:
    """Whether the stage waits for a missing object, as the status shows."""
    shown = _shown(context)
    return shown.get("status") == "False" and shown.get("reason") in _MISSING


def _shown(context: StageContext) -> Mapping[str, Any]:
    """Return the condition of the stage; empty before it has one."""
    kind = conditions.STAGE_CONDITION[context.stage]
    return conditions.find(context.draft.status["conditions"], kind) or {}


def is_tried_again(context: StageContext, job: JobView, pod: PodView | None) -> bool:
    """Whether a new attempt has just begun to look for the object: until that is known, the wait is what is shown."""
    if not is_waited_for(context) or (pod is not None and pod.mounted):
        return False
    age = clock.seconds_between(job.created, context.draft.now_text) or 0
    return age < TRY_SECONDS and lasting.waited_seconds(context.draft) > age  # an attempt before it has looked too


def must_give_up(context: StageContext, cause: Cause) -> bool:
    """Whether an attempt has waited for the object for so long that its pod must hold no node meanwhile."""
    restored = context.document_name in cause.message  # the operator writes this ConfigMap again itself
    shown = is_waited_for(context) and cause.reason.name in _MISSING
    return shown and not restored and lasting.waited_seconds(context.draft) >= PATIENCE_SECONDS


def give_up(context: StageContext, cause: Cause, *, pod: PodView | None) -> None:
    """End the attempt without counting a failure; the next one starts after a pause that grows with the wait."""
    first, most = PAUSE_SECONDS
    pause = min(most, max(first, lasting.waited_seconds(context.draft) / 2))
    close_attempt(context, Ending(REPLACED, cause.reason.name, pod))
    attempts.pause(context.draft, context.stage, seconds=pause)
    cause = with_name_that_is_meant(context, cause)
    context.set_not_done(reason=cause.reason, message=cause.text(MAX_CAUSE))


def show_pause(context: StageContext, number: int, *, until: datetime) -> None:
    """Show what is missing, and when the next attempt looks for it; or end the run if its start deadline has passed."""
    cause = _shown(context)["message"]
    left = start_deadline.seconds_left(context, None)
    if left is not None and left <= 0:
        job = f"attempt {number} of {context.stage}"
        start_deadline.fail_start(context, None, job=job, cause=cause.removesuffix(STARTS).rstrip(), hint="")
        return
    when = f"Until attempt {number} looks for it again at {clock.to_text(until)}, the run holds no CPU, memory or GPU."
    _show(context, sentences(cut(cause, MAX_MESSAGE - len(when) - 2), when))
    seconds = (until - context.draft.now).total_seconds()
    context.decision.requeue(after=seconds if left is None else min(seconds, left))


def show_again(context: StageContext, number: int) -> None:
    """Show what is missing while a new attempt looks for it."""
    now = f"Attempt {number} looks for it now."
    _show(context, sentences(cut(_shown(context)["message"], MAX_MESSAGE - len(now) - 2), now))


def _show(context: StageContext, message: str) -> None:
    shown = _shown(context)
    reason = reasons.named(shown["reason"])
    context.show(message, text=f"{context.phase}: waiting ({reason.name})")
    lasting.report_if_it_lasts(context.decision, reason, shown["message"])


def with_name_that_is_meant(context: StageContext, cause: Cause) -> Cause:
    """Return the cause with the object that the spec may mean: one that another run of the namespace uses."""
    meant = _meant(context, cause)
    return replace(cause, detail=meant) if meant else cause


def _meant(context: StageContext, cause: Cause) -> str:
    found = _NAME.search(cause.message)
    if found is None:
        return ""
    kind, missing = found[1].lower(), found[2]
    if missing not in _named(context.draft.run, kind):
        return ""  # something that the cluster added to the pod
    users = dict(_used(context, kind))
    close = did_you_mean(missing, users)
    return f"Did you mean {close}, which TrainingRun {users[close]} uses?" if close else ""


def _used(context: StageContext, kind: str) -> Iterator[tuple[str, str]]:
    """Names of Secrets, ServiceAccounts or ConfigMaps of other runs that could use their storage, and those runs."""
    for other in context.observed.neighbours():
        with suppress(AttributeError, TypeError):  # a spec or status that the schema does not allow
            if conditions.is_true(other.status.get("conditions") or (), conditions.STORAGE_READY):
                yield from ((name, other.name) for name in _named(other, kind))


def _named(run: Run, kind: str) -> list[str]:
    """The Secret, the ServiceAccount or the ConfigMaps that the spec of a run names."""
    storage, model = run.spec.get("storage") or {}, run.spec.get("model") or {}
    if kind in _CREDENTIALS:
        names = [(storage.get("credentials") or {}).get(_CREDENTIALS[kind])]
    else:
        config = (model.get("config") or {}).get("configMap") or {}
        names = [(storage.get("caBundle") or {}).get("configMapName"), config.get("name")]
    return [str(name) for name in names if name]
