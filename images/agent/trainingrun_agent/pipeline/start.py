"""Which variables training may take from pretrained weights, decided by what an export says about its own.

Invariant: a head is never taken from weights of other classes, or of other anchors, where its numbers mean something
else although their shapes may fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from trainingrun_agent.pipeline import protos

Asked = Literal["auto", "backbone", "all"]
Scope = Literal["all", "allButClasses", "featureExtractor"]
MAX_NAMES: Final = 50
"""Characters of a list of class names in a message."""
# What gives the variables of a network their meaning; all else in its configuration is for training or for detection.
_PARTS: Final = {
    "ssd": ("feature_extractor", "anchor_generator", "box_coder", "box_predictor"),
    "faster_rcnn": ("feature_extractor", "first_stage_anchor_generator", "second_stage_box_predictor"),
}
_TRAINING_ONLY: Final = (
    "conv_hyperparams",
    "class_prediction_bias_init",
    "fc_hyperparams",
    "batch_norm_trainable",
    "use_dropout",
    "dropout_keep_probability",
    "class_prediction_bias_init",
)


@dataclass(frozen=True)
class Export:
    """The texts that an export has beside its weights; None for one that is missing or unreadable."""

    pipeline_config: str | None
    label_map: str | None


@dataclass(frozen=True)
class Start:
    """The variables that training may take from the weights; `why` not all of them, empty if all."""

    scope: Scope
    why: str = ""


def start_from(export: Export | None, asked: Asked = "auto", *, pipeline_config: str, classes: Sequence[str]) -> Start:
    """How training with this configuration and these classes starts from an export; None is an archive.

    `asked` is spec.model.pretrained.scope. All that fits is all that may be loaded, also when everything is asked for.
    """
    if asked == "backbone":
        return Start("featureExtractor", "model.pretrained.scope is backbone")
    if export is None:
        return Start("featureExtractor", "an archive does not name its classes")
    theirs, known = _model(export.pipeline_config), _classes(export.label_map)
    if theirs is None or known is None:
        missing = "pipeline.config" if theirs is None else "label_map.pbtxt"
        return Start("featureExtractor", f"the export has no readable {missing}")
    ours = _model(pipeline_config) or {}
    if theirs != ours:
        parts = sorted(name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))
        return Start("featureExtractor", f"the export is of another network (differs in {', '.join(parts)})")
    if known == list(classes):
        return Start("all")
    differ = "the order of the classes differs" if sorted(known) == sorted(classes) else "the classes differ"
    return Start("allButClasses", f"{differ} ({listed(classes)}; there: {listed(known)})")


def _model(text: str | None) -> dict[str, str] | None:
    """The parts of the model that give its variables their meaning, as texts by name; None if it cannot be read."""
    if text is None:
        return None
    pipeline = protos.new_pipeline()
    try:
        protos.merge(pipeline, text)
    except (protos.ParseError, ValueError, RecursionError):
        return None
    family = pipeline.model.WhichOneof("model")
    return {name: _text(getattr(getattr(pipeline.model, family), name)) for name in _PARTS.get(family, ())} or None


def _text(part: object) -> str:
    return protos.to_text(protos.without(part, _TRAINING_ONLY))


def _classes(text: str | None) -> list[str] | None:
    """The names of the classes in the order of their ids; None if the ids are not 1, 2, 3 …, or it cannot be read."""
    if text is None:
        return None
    try:
        names = protos.class_names(text)
    except (protos.ParseError, ValueError, RecursionError):
        return None
    in_order = [names[number] for number in sorted(names)]
    return in_order if sorted(names) == list(range(1, len(names) + 1)) and in_order else None


def listed(names: Sequence[str]) -> str:
    """The first names, separated by commas; the others as their number."""
    shown: list[str] = []
    for name in names:
        if shown and len(", ".join([*shown, name])) > MAX_NAMES:
            return f"{', '.join(shown)} and {len(names) - len(shown)} more"
        shown.append(name[:MAX_NAMES])
    return ", ".join(shown)
