"""Whether two configurations give the same variables with the same meaning, the optimizer's among them.

Invariant: what only changes how variables are trained, not which there are, is no difference.
"""

from __future__ import annotations

from typing import Any, Final

from trainingrun_agent.pipeline import protos

# Values of hyperparameters that no variable's existence, shape or meaning depends on.
_VALUES: Final = (
    "regularizer",
    "initializer",
    "decay",
    "epsilon",
    "use_dropout",
    "dropout_keep_probability",
    "batch_norm_trainable",
    "class_prediction_bias_init",
)
_TRAINING: Final = (
    "loss",
    "post_processing",
    "matcher",
    "similarity_calculator",
    "normalize_loss_by_num_matches",
    "normalize_loc_loss_by_codesize",
    "image_resizer",
    "second_stage_post_processing",
    "second_stage_classification_loss",
    "second_stage_localization_loss_weight",
    "second_stage_classification_loss_weight",
    "first_stage_localization_loss_weight",
    "first_stage_objectness_loss_weight",
    "first_stage_nms_score_threshold",
    "first_stage_nms_iou_threshold",
    "first_stage_max_proposals",
    "first_stage_minibatch_size",
    "first_stage_positive_balance_fraction",
    "second_stage_batch_size",
    "second_stage_balance_fraction",
    "hard_example_miner",
    "freeze_batchnorm",
    "inplace_batchnorm_update",
    "expected_loss_weights_under_sampling",
)


def differences(theirs: str, ours: str) -> list[str] | None:
    """Names of the parts of two pipeline.config that differ; None if one of them cannot be read."""
    try:
        parts = [_parts(text) for text in (theirs, ours)]
    except (protos.ParseError, ValueError, RecursionError):
        return None
    if not all(parts):
        return None
    first, second = parts
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def trains_batch_norm(text: str) -> bool | None:
    """Whether a Faster R-CNN trains its batch normalization; None for other networks and what cannot be read."""
    pipeline = protos.new_pipeline()
    try:
        protos.merge(pipeline, text)
    except (protos.ParseError, ValueError, RecursionError):
        return None
    if pipeline.model.WhichOneof("model") != "faster_rcnn":
        return None
    return bool(pipeline.model.faster_rcnn.feature_extractor.batch_norm_trainable)


def with_batch_norm(text: str, *, trained: bool | None) -> str:
    """A pipeline.config of Faster R-CNN with its batch normalization trained or not; None leaves it as it is."""
    if trained is None or trains_batch_norm(text) in (None, trained):
        return text
    pipeline = protos.new_pipeline()
    protos.merge(pipeline, text)
    pipeline.model.faster_rcnn.feature_extractor.batch_norm_trainable = trained
    return protos.to_text(pipeline)


def _parts(text: str) -> dict[str, str]:
    """What decides the variables, as texts by name; empty if there is no model."""
    pipeline = protos.new_pipeline()
    protos.merge(pipeline, text)
    family = pipeline.model.WhichOneof("model")
    if family is None:
        return {}
    model = protos.without(getattr(pipeline.model, family), _VALUES)
    found = {field.name: _text(value) for field, value in model.ListFields() if field.name not in _TRAINING}
    optimizer = pipeline.train_config.optimizer
    found["model"] = family
    found["train_config.optimizer"] = f"{optimizer.WhichOneof('optimizer')} {optimizer.use_moving_average}"
    found["graph_rewriter"] = str(pipeline.HasField("graph_rewriter"))
    return found


def _text(value: Any) -> str:
    return protos.to_text(value) if protos.is_message(value) else repr(value)
