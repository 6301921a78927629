"""Whether the Object Detection API can build a pipeline.config: what it would only refuse in training, said in prep.

Invariant: nothing is refused that the API can build and train.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from trainingrun_agent.pipeline.typed_fields import family_of, input_size, is_ssd

LEAST_INPUT: Final = 33
"""Pixels; the feature extractors refuse smaller images."""
_COARSEST_BACKBONE_LEVEL: Final = 5
_STAGES: Final = 2
# Messages of which the API needs one member, by path below the message of the family.
_CHOICES: Final = {
    "ssd": (
        "image_resizer",
        "box_coder",
        "matcher",
        "similarity_calculator",
        "anchor_generator",
        "box_predictor",
        "loss.classification_loss",
        "loss.localization_loss",
    ),
    "faster_rcnn": ("image_resizer", "first_stage_anchor_generator", "second_stage_box_predictor"),
}
_NEEDS_OVERRIDE: Final = {"ssd_inception_v2", "ssd_inception_v3"}


def problems(pipeline: Any) -> Iterator[str]:
    """Why the API cannot train with this configuration, one text for each reason."""
    yield from _choices(pipeline)
    yield from _rate(pipeline.train_config.optimizer)
    yield from _training(pipeline.train_config)
    yield from _sizes(pipeline)
    if is_ssd(pipeline):
        yield from _ssd(pipeline.model.ssd)
    else:
        yield from _faster_rcnn(pipeline.model.faster_rcnn)
    if pipeline.train_config.use_multiclass_scores:
        yield "train_config.use_multiclass_scores needs scores of all classes for each box, which the labels have not"
    if pipeline.eval_config.include_metrics_per_category:
        yield (
            "eval_config.include_metrics_per_category must be false: the API needs a changed pycocotools for it;"
            " metrics.json of the export has the scores of each class"
        )
    if pipeline.eval_config.use_moving_averages and not pipeline.train_config.optimizer.use_moving_average:
        yield (
            "eval_config.use_moving_averages needs train_config.optimizer.use_moving_average: true, else checkpoints"
            " have no averages"
        )


def _choices(pipeline: Any) -> Iterator[str]:
    name = pipeline.model.WhichOneof("model")
    for path in _CHOICES[name]:
        message = family_of(pipeline)
        for part in path.split("."):
            message = getattr(message, part)
        oneof = message.DESCRIPTOR.oneofs[0]
        if message.WhichOneof(oneof.name) is None:
            yield f"model.{name}.{path} is not set: it needs one of {_members(oneof)}"


def _members(oneof: Any) -> str:
    return ", ".join(one.name for one in oneof.fields)


def _rate(optimizer: Any) -> Iterator[str]:
    kind = optimizer.WhichOneof("optimizer")
    if kind is None:
        yield f"train_config.optimizer is not set: it needs one of {_members(optimizer.DESCRIPTOR.oneofs[0])}"
        return
    rate = getattr(optimizer, kind).learning_rate
    if rate.WhichOneof("learning_rate") is None:
        yield f"train_config.optimizer.{kind}.learning_rate is not set"
        return
    schedule = rate.WhichOneof("learning_rate")
    here = f"train_config.optimizer.{kind}.learning_rate.{schedule}"
    for field, value in getattr(rate, schedule).ListFields():
        if isinstance(value, float) and not 0 <= value < math.inf:
            yield f"{here}.{field.name} is {value:g}, not a number from 0 up"
    yield from _schedule(rate, here)


def _schedule(rate: Any, here: str) -> Iterator[str]:
    """Schedules that the API refuses to build, or whose rate is no number."""
    if rate.HasField("cosine_decay_learning_rate"):
        yield from _cosine(rate.cosine_decay_learning_rate, here)
    if rate.HasField("exponential_decay_learning_rate") and not rate.exponential_decay_learning_rate.decay_steps:
        yield f"{here}.decay_steps is 0, but must be 1 at least"
    if rate.HasField("manual_step_learning_rate"):
        steps = [one.step for one in rate.manual_step_learning_rate.schedule]
        if not steps:
            yield f"{here}.schedule has no element; use constant_learning_rate for a rate that does not change"
        elif steps[0] == 0 or any(later <= step for step, later in pairwise(steps)):
            yield f"{here}.schedule has the steps {', '.join(map(str, steps))}; they must rise, from 1 on"


def _cosine(cosine: Any, here: str) -> Iterator[str]:
    total, warmup = cosine.total_steps, cosine.warmup_steps
    if total < warmup:
        yield f"{here} has warmup_steps {warmup}, more than its total_steps {total}"
    if warmup and cosine.learning_rate_base < cosine.warmup_learning_rate:
        yield (
            f"{here} has learning_rate_base {cosine.learning_rate_base:.6g}, less than its warmup_learning_rate"
            f" {cosine.warmup_learning_rate:.6g}"
        )


def _training(training: Any) -> Iterator[str]:
    for number, step in enumerate(training.data_augmentation_options):
        if step.WhichOneof("preprocessing_step") is None:
            yield f"train_config.data_augmentation_options[{number}] names no step"
    for name in ("freeze_variables", "update_trainable_variables"):
        for number, pattern in enumerate(getattr(training, name)):
            try:
                re.compile(pattern)
            except (re.error, RecursionError, OverflowError) as error:
                yield f"train_config.{name}[{number}] is no regular expression: {error}"


def _sizes(pipeline: Any) -> Iterator[str]:
    name, size = pipeline.model.WhichOneof("model"), input_size(pipeline)
    if size is not None and size < LEAST_INPUT:
        yield f"model.{name}.image_resizer scales images to {size} pixels, but the network needs {LEAST_INPUT} at least"
    keep = family_of(pipeline).image_resizer.keep_aspect_ratio_resizer
    if keep.min_dimension > keep.max_dimension:
        yield (
            f"model.{name}.image_resizer.keep_aspect_ratio_resizer has min_dimension {keep.min_dimension}, more than"
            f" its max_dimension {keep.max_dimension}"
        )


def _ssd(ssd: Any) -> Iterator[str]:
    extractor, anchors = ssd.feature_extractor, ssd.anchor_generator
    if extractor.type in _NEEDS_OVERRIDE and not extractor.override_base_feature_extractor_hyperparams:
        name = "override_base_feature_extractor_hyperparams"
        yield f"model.ssd.feature_extractor.{name} must be true for {extractor.type}"
    if anchors.HasField("ssd_anchor_generator") and not extractor.HasField("fpn"):
        layers = anchors.ssd_anchor_generator.num_layers
        if layers != extractor.num_layers:
            yield (
                f"model.ssd.anchor_generator.ssd_anchor_generator.num_layers is {layers}, but"
                f" model.ssd.feature_extractor.num_layers is {extractor.num_layers}; they must be equal"
            )
    if anchors.HasField("multiscale_anchor_generator") and extractor.HasField("fpn"):
        multiscale = anchors.multiscale_anchor_generator
        if (multiscale.min_level, multiscale.max_level) != (extractor.fpn.min_level, extractor.fpn.max_level):
            yield (
                "model.ssd.anchor_generator.multiscale_anchor_generator and model.ssd.feature_extractor.fpn have"
                " different min_level or max_level; they must be equal"
            )
    if ssd.loss.classification_loss.HasField("weighted_sigmoid_focal") and ssd.loss.HasField("hard_example_miner"):
        yield "model.ssd.loss has hard_example_miner, which the API refuses beside weighted_sigmoid_focal"
    yield from _pyramid(ssd)
    yield from _suppression(ssd.post_processing, "model.ssd.post_processing")


def _pyramid(ssd: Any) -> Iterator[str]:
    """A feature pyramid adds maps of neighbouring levels, so each must have exactly twice the cells of the next."""
    extractor, shape = ssd.feature_extractor, ssd.image_resizer.fixed_shape_resizer
    if not extractor.HasField("fpn") or not ssd.image_resizer.HasField("fixed_shape_resizer"):
        return
    step = 2 ** min(_COARSEST_BACKBONE_LEVEL, extractor.fpn.max_level)
    if extractor.pad_to_multiple % step and (shape.height % step or shape.width % step):
        yield f"the network has a feature pyramid, so the sides of its input must be multiples of {step} pixels"


def _faster_rcnn(faster_rcnn: Any) -> Iterator[str]:
    stages = faster_rcnn.number_of_stages
    if stages != _STAGES:
        yield (
            f"model.faster_rcnn.number_of_stages is {stages}, but must be {_STAGES}: one stage finds no classes, and"
            " three need masks, which the labels have not"
        )
    batch, proposals = faster_rcnn.second_stage_batch_size, faster_rcnn.first_stage_max_proposals
    if batch > proposals:
        yield (
            f"model.faster_rcnn.second_stage_batch_size is {batch}, more than first_stage_max_proposals, which is"
            f" {proposals}"
        )
    yield from _suppression(faster_rcnn.second_stage_post_processing, "model.faster_rcnn.second_stage_post_processing")


def _suppression(post_processing: Any, path: str) -> Iterator[str]:
    suppression, here = post_processing.batch_non_max_suppression, f"{path}.batch_non_max_suppression"
    if suppression.max_detections_per_class > suppression.max_total_detections:
        yield (
            f"{here}.max_detections_per_class is {suppression.max_detections_per_class}, more than"
            f" max_total_detections, which is {suppression.max_total_detections}"
        )
    if not 0 <= suppression.iou_threshold <= 1:
        yield f"{here}.iou_threshold is {suppression.iou_threshold:g}, not from 0 to 1"
