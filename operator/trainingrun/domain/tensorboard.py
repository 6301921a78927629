"""When TensorBoard exists: from the start of training until some time after the end of the run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from trainingrun.api import clock
from trainingrun.api.names import TENSORBOARD_PORT, Stage, tensorboard_name
from trainingrun.api.settings import Settings
from trainingrun.builders.tensorboard import build_tensorboard
from trainingrun.domain.decision import Child, Decision
from trainingrun.domain.draft import Draft
from trainingrun.domain.resolve import Resolved


def plan_tensorboard(decision: Decision, *, resolved: Resolved | None, settings: Settings) -> None:
    """Create or delete TensorBoard's Deployment and Service, as the spec asks and as time passes."""
    draft = decision.draft
    asked: dict[str, Any] = {"enabled": True, "ttlSecondsAfterFinished": 3600}
    asked |= draft.run.spec.get("tensorboard") or {}
    expires_at = _expires_at(draft, ttl_seconds=asked["ttlSecondsAfterFinished"])
    expired = expires_at is not None and expires_at <= draft.now
    exists = bool(draft.status.get("tensorboard", {}).get("serviceName"))
    if not asked["enabled"] or not _training_began(draft) or expired:
        _remove(decision, exists=exists)
        return
    if not exists:
        if resolved is None:
            decision.read_document = True
            return
        digest = draft.status.get("resolvedDigest", "")
        decision.create_optional += build_tensorboard(draft.run, resolved=resolved, digest=digest, settings=settings)
    _show(decision, expires_at=expires_at)


def _expires_at(draft: Draft, *, ttl_seconds: int) -> datetime | None:
    finished_at = clock.parse(draft.status.get("finishedAt"))
    return finished_at + timedelta(seconds=ttl_seconds) if finished_at else None


def _training_began(draft: Draft) -> bool:
    entries = draft.status.get("attempts", [])
    return any(entry.get("stage") == Stage.TRAIN.value and entry.get("number", 0) > 0 for entry in entries)


def _remove(decision: Decision, *, exists: bool) -> None:
    if exists:
        name = tensorboard_name(decision.draft.run.name)
        decision.delete += [Child("Deployment", name), Child("Service", name)]
    decision.draft.status.pop("tensorboard", None)


def _show(decision: Decision, *, expires_at: datetime | None) -> None:
    draft = decision.draft
    name = tensorboard_name(draft.run.name)
    url = f"http://{name}.{draft.run.namespace}.svc:{TENSORBOARD_PORT}/"
    draft.status["tensorboard"] = {"serviceName": name, "url": url}
    if expires_at is not None:
        draft.status["tensorboard"]["expiresAt"] = clock.to_text(expires_at)
        decision.requeue(after=(expires_at - draft.now).total_seconds())
