"""When TensorBoard exists: from the start of the trainer until some time after the end of the run, if there is room.

It never holds back training: it comes after the trainer's container has started, and goes when a run of its namespace
waits for room, first those of runs that do not run, then the waiting run's own. Each time it stays away for longer.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from trainingrun.api import clock, conditions, reasons
from trainingrun.api.names import TENSORBOARD_PORT, Stage, tensorboard_name
from trainingrun.api.reason import Reason
from trainingrun.api.settings import Settings
from trainingrun.builders.tensorboard import build_tensorboard
from trainingrun.domain.crowd import Crowd, has_idle_board, waits_for_room
from trainingrun.domain.decision import Child, Decision
from trainingrun.domain.draft import Draft
from trainingrun.domain.observe import Observed
from trainingrun.domain.refused_child import without_tensorboard
from trainingrun.domain.resolve import Resolved
from trainingrun.domain.texts import cut, sentences

FIRST_ABSENCE_SECONDS: Final = 60
LONGEST_ABSENCE_SECONDS: Final = 3600
PATIENCE_SECONDS: Final = 15  # a pod whose predecessor is just ending waits for room, too
_MAX_MESSAGE: Final = 120
_REFUSED: Final = without_tensorboard("")
_YIELDS: Final = (
    "A pod of the namespace has no room, so TensorBoard makes room. It comes back when none waits any more."
)
_LOST: Final = "Something else than the operator has deleted TensorBoard. It is made again."


def plan_tensorboard(decision: Decision, observed: Observed, *, resolved: Resolved | None, settings: Settings) -> None:
    """Create or delete TensorBoard's Deployment and Service, as the spec asks, as time passes and as there is room."""
    draft, crowd = decision.draft, observed.crowd
    asked: dict[str, Any] = {"enabled": True, "ttlSecondsAfterFinished": settings.tensorboard.ttl_seconds}
    asked |= draft.run.spec.get("tensorboard") or {}
    enabled = asked["enabled"] and settings.tensorboard.enabled
    expires_at = _expires_at(draft, ttl_seconds=asked["ttlSecondsAfterFinished"])
    exists = bool(draft.status.get("tensorboard", {}).get("serviceName"))
    lacks_room = _lacks_room(draft)
    if lacks_room:
        decision.wake += sorted(crowd.idle_boards)
    if not enabled or not _training_began(draft) or (expires_at is not None and expires_at <= draft.now):
        _remove(decision, exists=exists)
    elif exists and _must_yield(draft, crowd, lacks_room=lacks_room):
        stay_away(decision, reasons.TENSORBOARD_YIELDS, _YIELDS, remove=_children(draft))
    elif exists and observed.board_lost:
        _forget_lost(decision)
    elif exists:
        _show(decision, expires_at=expires_at)
    elif _has_room(draft) and _may_return(decision, crowd):
        if resolved is None:
            decision.read_document = True
            return
        digest = draft.status.get("resolvedDigest", "")
        decision.create_optional += build_tensorboard(draft.run, resolved=resolved, digest=digest, settings=settings)
        _show(decision, expires_at=expires_at)


def stay_away(decision: Decision, reason: Reason, message: str, *, remove: list[Child], warning: bool = False) -> None:
    """Remove these parts of TensorBoard, say why and until when, and stay away for longer than the last time.

    A Warning comes only if the absence before had the same cause.
    """
    draft = decision.draft
    times = int(draft.status.get("tensorboard", {}).get("yields", 0)) + 1
    absence = min(FIRST_ABSENCE_SECONDS * 2 ** min(times - 1, 10), LONGEST_ABSENCE_SECONDS)
    decision.delete += remove
    draft.status["tensorboard"] = {
        "yields": times,
        "returnsAt": clock.to_text(draft.now + timedelta(seconds=absence)),
        "message": cut(message, _MAX_MESSAGE),
    }
    before = draft.run.status.get("tensorboard", {}).get("message", "")
    if not warning or before.startswith(_REFUSED):
        draft.add_event(reason, sentences(message, reason.hint), warning=warning)
    decision.requeue(after=absence)


def _forget_lost(decision: Decision) -> None:
    """Show no longer what something else has deleted, and delete what is left: it is then made as the first time."""
    draft = decision.draft
    decision.delete += _children(draft)
    yields = draft.status["tensorboard"].get("yields", 0)
    draft.status["tensorboard"] = {**({"yields": yields} if yields else {}), "message": _LOST}
    decision.requeue(after=0)


def _must_yield(draft: Draft, crowd: Crowd, *, lacks_room: bool) -> bool:
    """Those of runs that do not run go first, and that of the waiting run if the room is not enough."""
    return bool(crowd.waiting) if has_idle_board(draft.run) else lacks_room and not crowd.idle_boards


def _lacks_room(draft: Draft) -> bool:
    """Whether a pod of this run has waited for room for a while."""
    begun = max((entry.get("startedAt", "") for entry in draft.status.get("attempts", [])), default="")
    waited = clock.seconds_between(begun, draft.now_text) or 0
    return waited >= PATIENCE_SECONDS and waits_for_room(draft.run)


def _may_return(decision: Decision, crowd: Crowd) -> bool:
    draft = decision.draft
    shown = draft.status.get("tensorboard", {})
    returns_at = clock.parse(shown.get("returnsAt"))
    if returns_at is not None and returns_at > draft.now:
        decision.requeue(after=(returns_at - draft.now).total_seconds())
        return False
    if crowd.waiting:
        draft.status["tensorboard"] = {**shown, "message": _YIELDS}
        decision.requeue(after=FIRST_ABSENCE_SECONDS)
    return not crowd.waiting


def _expires_at(draft: Draft, *, ttl_seconds: int) -> datetime | None:
    finished_at = clock.parse(draft.status.get("finishedAt"))
    return finished_at + timedelta(seconds=ttl_seconds) if finished_at else None


def _training_began(draft: Draft) -> bool:
    entries = draft.status.get("attempts", [])
    return any(entry.get("stage") == Stage.TRAIN.value and entry.get("number", 0) > 0 for entry in entries)


def _has_room(draft: Draft) -> bool:
    """Whether the attempt in flight has the room that it needs: its containers have started."""
    if draft.is_true(conditions.FINISHED):
        return True
    in_flight = [entry for entry in draft.status["attempts"] if entry.get("number", 0) > entry.get("ended", 0)]
    return all("ranAt" in entry for entry in in_flight) and (bool(in_flight) or draft.stage_done(Stage.TRAIN))


def _remove(decision: Decision, *, exists: bool) -> None:
    draft = decision.draft
    # A status that shows a new TensorBoard is refused if the spec has just changed: then nothing shows that it exists.
    spec_changed = draft.run.status.get("observedGeneration") != draft.run.generation
    if exists or (spec_changed and _training_began(draft)):
        decision.delete += _children(draft)
    draft.status.pop("tensorboard", None)


def _children(draft: Draft) -> list[Child]:
    name = tensorboard_name(draft.run.name)
    return [Child("Deployment", name), Child("Service", name)]


def _show(decision: Decision, *, expires_at: datetime | None) -> None:
    draft = decision.draft
    name = tensorboard_name(draft.run.name)
    url = f"http://{name}.{draft.run.namespace}.svc:{TENSORBOARD_PORT}/"
    yields = draft.status.get("tensorboard", {}).get("yields", 0)
    draft.status["tensorboard"] = {"serviceName": name, "url": url}
    if yields:
        draft.status["tensorboard"]["yields"] = yields
    if expires_at is not None:
        draft.status["tensorboard"]["expiresAt"] = clock.to_text(expires_at)
        decision.requeue(after=(expires_at - draft.now).total_seconds())
