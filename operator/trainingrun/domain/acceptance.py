"""Accept a run: resolve its spec, fix the result in a ConfigMap, or say why the run cannot start.

Invariant: a ConfigMap is never believed for its name, labels or owner. Before acceptance its text has to be the one
that `resolve` gives now; the status then holds the digest of that text, and only a text of this digest counts, also for
the pods. A run that was accepted before digests were kept adopts its ConfigMap once (adoption.py).

A run whose ConfigMap is gone is never resolved again by itself, because images, defaults and policy may have changed.
When its user raises `spec.retry`, it is accepted anew, like a new run. Nothing else makes the operator forget a digest.
"""

from __future__ import annotations

from typing import Final

from trainingrun.api import clock, conditions, reasons
from trainingrun.api.names import SUPPORTED_CONTRACTS, Phase, Stage, resolved_name, run_prefix
from trainingrun.api.reason import Reason
from trainingrun.api.settings import Settings
from trainingrun.api.status import StageAttempts
from trainingrun.builders.resolved import build_resolved, resolved_text, text_digest
from trainingrun.domain import attempts, deadline, gate, lasting
from trainingrun.domain.accounting import Ending, close_attempt
from trainingrun.domain.adoption import why_not_ours
from trainingrun.domain.decision import Decision
from trainingrun.domain.document import parse_document
from trainingrun.domain.draft import MAX_CAUSE, MAX_EVENT, MAX_MESSAGE, Draft
from trainingrun.domain.ended_jobs import newest_pod
from trainingrun.domain.history import REPLACED
from trainingrun.domain.observe import Observed
from trainingrun.domain.refusal import NotAcceptedError
from trainingrun.domain.refused_child import RefusedChild
from trainingrun.domain.resolve import Resolved, resolve
from trainingrun.domain.stage import StageContext
from trainingrun.domain.texts import cut, sentences

WAIT_FOR_OTHER_SECONDS: Final = 10
READ_AGAIN_SECONDS: Final = (5, 300)  # a ConfigMap that is not the run's: at first, and at most


def accept(decision: Decision, observed: Observed, *, settings: Settings) -> Resolved | None:
    """Return the resolved document, which is written at the first acceptance; None when the run cannot go on."""
    draft = decision.draft
    if _accepted_before(draft) and observed.document is None:
        decision.read_document = True
        return None
    if draft.status.get("resolvedDigest"):
        text = _as_accepted(decision, observed, settings=settings)
    elif _accepted_before(draft):
        text = _adopt(decision, observed, settings=settings)
    else:
        text = _first(decision, observed, settings=settings)
    resolved = parse_document(text) if text is not None else None
    if text is None or resolved is None:
        return None
    if resolved.get("contractVersion") not in SUPPORTED_CONTRACTS:
        _show_unknown_contract(draft, resolved)
        return None
    draft.status["resolvedDigest"] = text_digest(text)
    _show_accepted(draft, resolved)
    return resolved


def document_of_finished(decision: Decision, observed: Observed, *, settings: Settings) -> Resolved | None:
    """Return the document of a run that has ended, for TensorBoard; None if there is none that is believed."""
    draft, text = decision.draft, observed.document.text if observed.document else None
    resolved = parse_document(text) if text is not None else None
    if text is None or resolved is None or resolved.get("contractVersion") not in SUPPORTED_CONTRACTS:
        return None
    if "resolvedDigest" not in draft.status and not why_not_ours(draft.run, resolved, settings=settings):
        draft.status["resolvedDigest"] = text_digest(text)
    return resolved if draft.status.get("resolvedDigest") == text_digest(text) else None


def _accepted_before(draft: Draft) -> bool:
    """Whether the operator has accepted the run: only it can write the status."""
    return bool(draft.status.get("resolvedDigest") or draft.status.get("storageURI"))


def _accept_anew(decision: Decision, observed: Observed, *, settings: Settings) -> str | None:
    """Accept a run again whose ConfigMap is gone, because `spec.retry` was raised; attempts that never ran are over."""
    draft = decision.draft
    for entry in draft.status.get("attempts", []):
        if entry.get("number", 0) > entry.get("ended", 0):
            context = StageContext(Stage(entry["stage"]), decision, observed, {}, settings)
            pod = newest_pod(observed.pods_of(entry.get("jobUID")))
            close_attempt(context, Ending(REPLACED, reasons.CONFIG_MAP_LOST.name, pod))
            attempts.end(draft, context.stage)
            message = "The attempt in flight was ended: it could not start without the run's ConfigMap."
            context.set_not_done(reason=reasons.ATTEMPT_DELAYED, message=message)
    for field in ("resolvedDigest", "storageURI"):
        draft.status.pop(field, None)  # type: ignore[misc]
    deadline.start_again(draft)
    name = resolved_name(draft.run.name, uid=draft.run.uid)
    why = f"spec.retry was raised to {draft.take_retry()} and ConfigMap {name} is gone"
    draft.add_event(reasons.RETRY, f"Accepting the run anew, as the operator would accept it today: {why}.")
    return _first(decision, observed, settings=settings)


def _lose(decision: Decision, observed: Observed, *, settings: Settings, today: str | None, what: str) -> str | None:
    """Show that what the run was accepted with is gone, or accept it anew if its user asks for that.

    The text of `today` may be there: the operator may have died between writing it and the status.
    """
    draft = decision.draft
    runs = any(_runs(entry) for entry in draft.status.get("attempts", []))
    found = observed.document.text if observed.document is not None else None
    if draft.retry_raised and not runs and found in {None, today}:
        return _accept_anew(decision, observed, settings=settings)
    until = " spec.retry counts as soon as the attempt that runs has ended." if draft.retry_raised and runs else ""
    _block(decision, reasons.CONFIG_MAP_LOST, f"{what}{until}")
    return None


def _runs(entry: StageAttempts) -> bool:
    """Whether an attempt is in flight that will end: one that never ran cannot start without its ConfigMap."""
    return entry.get("number", 0) > entry.get("ended", 0) and "ranAt" in entry


def _first(decision: Decision, observed: Observed, *, settings: Settings) -> str | None:
    run, document = decision.draft.run, observed.document
    try:
        text = resolved_text(
            resolve(run, settings=settings, find_run=observed.find_run, neighbours=observed.neighbours)
        )
    except NotAcceptedError as refusal:
        _refuse(decision, refusal)
        return None
    if document is not None and document.text not in {None, text}:
        _block(decision, reasons.FOREIGN_CONFIG_MAP, "exists, and holds something else than the operator would write.")
        return None
    if observed.refused is not None and observed.refused.kind == "ConfigMap":
        _wait_for_creation(decision, observed.refused)
        return None
    if document is None or document.text is None:
        decision.create.append(build_resolved(run, text=text))
    return text


def _adopt(decision: Decision, observed: Observed, *, settings: Settings) -> str | None:
    """Believe the ConfigMap of an earlier version once, if it has what the spec and the policy allow."""
    text = observed.document.text if observed.document is not None else None
    if text is None:
        what = "was deleted, and nothing shows what the run was accepted with."
        return _lose(decision, observed, settings=settings, today=None, what=what)
    resolved = parse_document(text)
    if resolved is None:
        problem = "it is no JSON object."
    elif resolved.get("contractVersion") in range(max(SUPPORTED_CONTRACTS) + 1, 1000):
        return text  # nothing of it is used: see UnsupportedContract
    else:
        problem = why_not_ours(decision.draft.run, resolved, settings=settings)
    if problem:
        what = f"is not what the operator would have written: {problem}"
        _block(decision, reasons.FOREIGN_CONFIG_MAP_OF_ACCEPTED, what)
        return None
    return text


def _as_accepted(decision: Decision, observed: Observed, *, settings: Settings) -> str | None:
    """Return the text that the run was accepted with, and make its ConfigMap again if it was deleted."""
    run, document = decision.draft.run, observed.document
    digest = decision.draft.status.get("resolvedDigest")
    assert document is not None
    if document.digest == digest:
        return document.text
    known: str | None = observed.known_text
    if not known:
        try:
            known = resolved_text(resolve(run, settings=settings, find_run=observed.find_run))
        except NotAcceptedError:
            known = None
    if known is None or text_digest(known) != digest:
        what = "was deleted" if document.text is None else "was replaced"
        what = f"{what}, and the operator would write another one today."
        return _lose(decision, observed, settings=settings, today=known, what=what)
    if document.text is not None:
        _block(decision, reasons.CONFIG_MAP_REPLACED, "is not the one with which the run was accepted.")
        return None
    decision.create.append(build_resolved(run, text=known))
    return known


def _block(decision: Decision, reason: Reason, what: str) -> None:
    """Show that the run's ConfigMap cannot be used; it is read again after as long as that has lasted."""
    draft, run = decision.draft, decision.draft.run
    decision.starts_nothing = "resolvedDigest" in draft.status
    name = resolved_name(run.name, uid=run.uid)
    hint = reason.hint_with(namespace=run.namespace, name=name, retry=str(draft.retry + 1))
    message = sentences(cut(f"ConfigMap {name} {what}", MAX_CAUSE - len(hint) - 2), hint)
    draft.set_condition(conditions.ACCEPTED, False, reason=reason, message=message)
    draft.set_condition(conditions.FINISHED, False, reason=reasons.WAITING, message=message)
    phase = Phase(draft.status.get("phase", Phase.PENDING))
    draft.show(phase, message=message, text=f"waiting ({reason.name})")
    lasting.report_if_it_lasts(decision, reason, message)
    since = conditions.find(draft.status["conditions"], conditions.ACCEPTED)
    lasted = clock.seconds_between(since["lastTransitionTime"] if since else None, draft.now_text) or 0
    first, most = READ_AGAIN_SECONDS
    decision.requeue(after=min(most, max(first, lasted)))


def _refuse(decision: Decision, refusal: NotAcceptedError) -> None:
    draft = decision.draft
    draft.set_condition(conditions.ACCEPTED, False, reason=refusal.reason, message=refusal.full)
    if refusal.waits:
        draft.set_condition(conditions.FINISHED, False, reason=reasons.WAITING, message=refusal.full)
        draft.show(Phase.PENDING, message=refusal.full, text=f"waiting ({refusal.reason.name})")
        lasting.report_if_it_lasts(decision, refusal.reason, refusal.full)
        decision.requeue(after=WAIT_FOR_OTHER_SECONDS)
    else:
        draft.take_retry()  # the message has the next one
        draft.fail(reason=refusal.reason, message=refusal.message, step=refusal.step)


def _wait_for_creation(decision: Decision, refused: RefusedChild) -> None:
    draft, message = decision.draft, refused.text(MAX_CAUSE)
    draft.set_condition(conditions.ACCEPTED, False, reason=reasons.CREATION_REFUSED, message=message)
    draft.set_condition(conditions.FINISHED, False, reason=reasons.WAITING, message=message)
    draft.show(Phase.PENDING, message=refused.text(MAX_MESSAGE), text=f"waiting ({reasons.CREATION_REFUSED.name})")
    lasting.report_if_it_lasts(decision, reasons.CREATION_REFUSED, refused.text(MAX_EVENT))


def _show_unknown_contract(draft: Draft, resolved: Resolved) -> None:
    versions = ", ".join(map(str, SUPPORTED_CONTRACTS))
    what = f"The run was accepted with contract {resolved.get('contractVersion')}; this operator knows {versions}."
    message = sentences(what, reasons.UNSUPPORTED_CONTRACT.hint)
    draft.set_condition(conditions.ACCEPTED, False, reason=reasons.UNSUPPORTED_CONTRACT, message=message)
    draft.status["message"] = message


def _show_accepted(draft: Draft, resolved: Resolved) -> None:
    run, storage = draft.run, resolved["storage"]
    prefix = run_prefix(run.namespace, name=run.name, uid=run.uid, storage_prefix=storage["prefix"])
    draft.status["storageURI"] = f"s3://{storage['bucket']}/{prefix}/"
    draft.set_condition(conditions.ACCEPTED, True, reason=reasons.ACCEPTED, message="The spec is valid and resolved.")
    gate.await_export(draft, resolved)
    draft.set_condition(conditions.SUCCEEDED, None, reason=reasons.RUNNING, message="The run has not ended.")
    draft.set_condition(conditions.FINISHED, False, reason=reasons.RUNNING, message="The run has not ended.")
