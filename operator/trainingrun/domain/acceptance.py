"""Accept a run: resolve its spec, fix the result in a ConfigMap, or say why the run cannot start."""

from __future__ import annotations

from typing import Final

from trainingrun.api import conditions, reasons
from trainingrun.api.names import SUPPORTED_CONTRACTS, Phase, run_prefix
from trainingrun.api.settings import Settings
from trainingrun.builders.resolved import build_resolved
from trainingrun.domain.decision import Decision
from trainingrun.domain.draft import Draft
from trainingrun.domain.observe import Observed
from trainingrun.domain.refusal import NotAcceptedError
from trainingrun.domain.refused_child import RefusedChild
from trainingrun.domain.resolve import Resolved, resolve
from trainingrun.domain.texts import sentences

WAIT_FOR_OTHER_SECONDS: Final = 10


def accept(decision: Decision, observed: Observed, *, settings: Settings) -> Resolved | None:
    """Return the resolved document, which is written at the first acceptance; None when the run cannot go on."""
    run = decision.draft.run
    try:
        resolved = observed.resolved or resolve(run, settings=settings, find_run=observed.find_run)
    except NotAcceptedError as refusal:
        _refuse(decision, refusal)
        return None
    if resolved.get("contractVersion") not in SUPPORTED_CONTRACTS:
        _show_unknown_contract(decision.draft, resolved)
        return None
    if not observed.resolved and observed.refused is not None:
        _wait_for_creation(decision.draft, observed.refused)
        return None
    if not observed.resolved:
        decision.create.append(build_resolved(run, resolved=resolved))
    _show_accepted(decision.draft, resolved)
    return resolved


def _refuse(decision: Decision, refusal: NotAcceptedError) -> None:
    draft = decision.draft
    if draft.set_condition(conditions.ACCEPTED, False, reason=refusal.reason, message=refusal.full):
        draft.add_event(refusal.reason, refusal.full, warning=not refusal.waits)
    if refusal.waits:
        draft.set_condition(conditions.FINISHED, False, reason=reasons.WAITING, message=refusal.full)
        draft.show(Phase.PENDING, message=refusal.full, text=f"waiting ({refusal.reason.name})")
        decision.requeue(after=WAIT_FOR_OTHER_SECONDS)
    else:
        draft.status["retry"] = int(draft.run.spec.get("retry", 0))
        draft.fail(reason=refusal.reason, message=refusal.message, step=refusal.step)


def _wait_for_creation(draft: Draft, refused: RefusedChild) -> None:
    if draft.set_condition(conditions.ACCEPTED, False, reason=reasons.CREATION_REFUSED, message=refused.message):
        draft.add_event(reasons.CREATION_REFUSED, refused.message, warning=True)
    draft.set_condition(conditions.FINISHED, False, reason=reasons.WAITING, message=refused.message)
    draft.show(Phase.PENDING, message=refused.message, text=f"waiting ({reasons.CREATION_REFUSED.name})")


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
    draft.status["retry"] = int(run.spec.get("retry", 0))
    if draft.set_condition(
        conditions.ACCEPTED, True, reason=reasons.ACCEPTED, message="The spec is valid and resolved."
    ):
        draft.add_event(reasons.ACCEPTED, f"Results go to {draft.status['storageURI']}")
    draft.set_condition(conditions.SUCCEEDED, None, reason=reasons.RUNNING, message="The run has not ended.")
    draft.set_condition(conditions.FINISHED, False, reason=reasons.RUNNING, message="The run has not ended.")
