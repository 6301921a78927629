"""The Event TrainingStarted: what training starts from, and how much of the weights was loaded.

It is emitted when the status first says so, whether the agent's progress or its verdict brought it: an agent or a
trainer of an earlier release may never say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api import reasons
from trainingrun.api.status import Restored, ResumedFrom, Training
from trainingrun.domain.draft import Draft
from trainingrun.domain.networks import DEFAULT_NETWORK, DEFAULT_STEPS, NETWORKS

_COCO: Final = (
    "Weights of this network, trained on COCO, are at {address}: with them in spec.model.pretrained, a new run needs "
    "fewer steps and images."
)
_BATCH_NORM: Final = (
    "With fewer than {steps} steps, batch normalization is not trained either: expect little of this run without "
    "weights."
)
_COMPARED: Final = {
    "Same": " with the same data set",
    "Changed": "; the data set has changed since then",
    "Unknown": "; whether its data set was the same is not known",
}


def announce_start(draft: Draft) -> None:
    """Emit the Event if this reconcile has learned from what the newest attempt of training starts."""
    before, now = draft.run.status.get("training", {}), draft.status.get("training", {})
    restored = now.get("restored")
    if now.get("resumedFromStep") and "resumedFromStep" not in before:
        step, other = now["resumedFromStep"], draft.status.get("resumedFrom", {})
        if step == other.get("step") and "checkpointStep" not in before:
            _add(draft, _continuation(draft.run.spec, other, now))
        else:
            _add(draft, resumption(now, checkpoint=step))
    elif restored is not None and _counts(restored) != _counts(before.get("restored", {})):
        source = _source(draft.run.spec)
        warning = bool(source) and 2 * restored["loaded"] < restored["total"]
        _add(draft, _text(source, restored, spec=draft.run.spec), warning=warning)


def _add(draft: Draft, message: str, *, warning: bool = False) -> None:
    """Add the Event before those of what came later: with a verdict, the end of the attempt."""
    later, draft.events = draft.events, []
    draft.add_event(reasons.TRAINING_STARTED, message, warning=warning)
    draft.events += later


def resumption(training: Training, *, checkpoint: int) -> str:
    """Say from where training resumes; the Event after a suspension has the same text, so that there is only one."""
    steps = f" of {training['steps']} steps" if "steps" in training else ""
    return f"Training resumes from checkpoint {checkpoint}{steps}."


def _continuation(spec: Mapping[str, Any], other: ResumedFrom, training: Training) -> str:
    """Say which run's training goes on, for an attempt that has no checkpoint of its own run."""
    asked = spec.get("resumeFrom") or {}
    name = f"TrainingRun {asked['run']}" if "run" in asked else other["uri"]
    text = resumption(training, checkpoint=other["step"]).removesuffix(".")
    return f"{text}, continuing {name}{_COMPARED[other['dataset']]}."


def _counts(restored: Mapping[str, Any]) -> tuple[int | None, int | None]:
    return restored.get("loaded"), restored.get("total")


def _source(spec: Mapping[str, Any]) -> str:
    """Name the weights as the spec does; empty without any."""
    pretrained = spec.get("model", {}).get("pretrained") or {}
    if "run" in pretrained:
        return f"the export of TrainingRun {pretrained['run']}"
    uri = str(pretrained.get("uri", ""))
    return uri if not uri or "://" in uri else f"s3://{spec['storage']['bucket']}/{uri}"


def _without_weights(spec: Mapping[str, Any]) -> str:
    """What to know of this network without pretrained weights, and where there are some; may be empty."""
    defaults = NETWORKS.get(spec.get("model", {}).get("network", DEFAULT_NETWORK))
    if defaults is None:
        return ""
    frozen = int((spec.get("train") or {}).get("steps", DEFAULT_STEPS)) < defaults.batch_norm_steps
    notes = (
        _BATCH_NORM.format(steps=defaults.batch_norm_steps) if frozen else "",
        _COCO.format(address=defaults.weights_address) if defaults.weights_address else "",
    )
    return " ".join(note for note in notes if note)


def _text(source: str, restored: Restored, *, spec: Mapping[str, Any]) -> str:
    if not source:
        random = f"Training starts without pretrained weights: all {restored['total']} variables are random numbers."
        return f"{random} {_without_weights(spec)}".rstrip()
    loaded = f"{restored['loaded']} of {restored['total']} variables loaded"
    anew = f"; new: {restored['startsAnew']}" if "startsAnew" in restored else ""
    return f"Training starts from {source}: {loaded}{anew}."
