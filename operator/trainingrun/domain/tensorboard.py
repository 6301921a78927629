"""When TensorBoard is there: from the start of training until some time after the end of the run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from trainingrun.api import clock
from trainingrun.api.names import TENSORBOARD_PORT, Stage, tensorboard_name
from trainingrun.api.settings import Settings
from trainingrun.builders.tensorboard import build_tensorboard
from trainingrun.domain.actions import Child, Plan
from trainingrun.domain.resolve import Resolved


def keep(plan: Plan, *, resolved: Resolved | None, settings: Settings) -> None:
    """Create or delete TensorBoard's Deployment and Service as the spec and the time ask."""
    draft = plan.draft
    run = draft.run
    asked: dict[str, Any] = {"enabled": True, "ttlSecondsAfterFinished": 3600, **(run.spec.get("tensorboard") or {})}
    name = tensorboard_name(run.name)
    shown: dict[str, Any] = draft.status.get("tensorboard", {})
    finished = clock.parse(draft.status.get("finishedAt"))
    expires = finished + timedelta(seconds=asked["ttlSecondsAfterFinished"]) if finished else None
    wanted = asked["enabled"] and _training_began(plan) and (expires is None or expires > draft.now)
    if not wanted:
        if shown.get("serviceName"):
            plan.delete += [Child("Deployment", name), Child("Service", name)]
        draft.status.pop("tensorboard", None)
        return
    if not shown.get("serviceName"):
        if resolved is None:
            return
        plan.beside += build_tensorboard(run, resolved=resolved, settings=settings)
    url = f"http://{name}.{run.namespace}.svc:{TENSORBOARD_PORT}/"
    draft.status["tensorboard"] = {"serviceName": name, "url": url}
    if expires:
        draft.status["tensorboard"]["expiresAt"] = clock.to_text(expires)
        plan.again((expires - draft.now).total_seconds())


def _training_began(plan: Plan) -> bool:
    return any(
        entry.get("stage") == Stage.TRAIN and entry.get("number", 0) > 0
        for entry in plan.draft.status.get("attempts", [])
    )
