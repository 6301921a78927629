"""What an attempt of training does otherwise than the spec: it ends training, or has another batch or learning rate.

The changes of an attempt are in its Job, as a variable of the agent, and in `status.attempts[].changes`. Those that
last are in `status.training`, so every later attempt has them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api import bounded_json
from trainingrun.api.names import AGENT, Stage
from trainingrun.api.status import Changes
from trainingrun.builders.jobs import CHANGES
from trainingrun.domain import finish
from trainingrun.domain.observe import JobView
from trainingrun.domain.stage import StageContext

MAX_BYTES: Final = 256


def of_next(context: StageContext) -> Changes:
    """Return the changes of an attempt that starts now."""
    if context.stage is not Stage.TRAIN:
        return Changes()
    lasting = _lasting(context)
    return {**lasting, "finish": True} if finish.is_wanted(context) else lasting


def of_job(context: StageContext, spec: Mapping[str, Any]) -> Changes | None:
    """Return the changes in the spec of a Job that may be the operator's; None if it would not have written them.

    `spec.finish` may have changed since the Job was created; everything else can only be what the status has.
    """
    text = _text_in(spec)
    if text is None:
        return Changes()
    try:
        found = bounded_json.document(text)
    except ValueError:
        return None
    lasting = _lasting(context)
    for possible in (lasting, Changes(finish=True), Changes({**lasting, "finish": True})):
        if found == possible:
            return possible
    return None


def of_believed(context: StageContext, job: JobView) -> Changes:
    """Return the changes of a Job that is the operator's, whose creation the status does not show yet."""
    return of_job(context, context.observed.specs.get(job.uid, {})) or Changes()


def _lasting(context: StageContext) -> Changes:
    training, found = context.draft.status.get("training", {}), Changes()
    if "batchSize" in training:
        found["batchSize"] = training["batchSize"]
    if "learningRateFactor" in training:
        found["learningRateFactor"] = training["learningRateFactor"]
    return found


def _text_in(spec: Mapping[str, Any]) -> str | None:
    """The value of the agent's variable; None without one. Anyone may have written the Job."""
    try:
        containers = spec["template"]["spec"]["containers"]
        (agent,) = (container for container in containers if container["name"] == AGENT)
        values = [variable["value"] for variable in agent.get("env") or () if variable["name"] == CHANGES]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # it is not like a Job of the operator, which is found when it is compared
    if not values:
        return None
    text = values[-1]
    return text if isinstance(text, str) and len(text) <= MAX_BYTES else ""
