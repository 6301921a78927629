"""The fields of the spec that change a part of pipeline.config which several of its fields describe together.

Each function changes a TrainEvalPipelineConfig in place, whatever network and whoever wrote it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, Literal

from trainingrun_agent.pipeline import protos
from trainingrun_agent.pipeline.networks import longest_side
from trainingrun_agent.training_settings import FocalLoss

Optimizer = Literal["adam", "momentum", "rmsProp"]

COCO_MAX_DETECTIONS: Final = 100
MAX_WARMUP_STEPS: Final = 2000
OPTIMIZERS: Final = {  # proto texts with a place for the learning rate
    "adam": "adam_optimizer {{ {schedule} }}",
    "rms_prop": "rms_prop_optimizer {{ {schedule} momentum_optimizer_value: 0.9 decay: 0.9 epsilon: 1.0 }}",
    "momentum": "momentum_optimizer {{ {schedule} momentum_optimizer_value: 0.9 }}",
}
# Detectors begin by finding nothing: with the focal loss, all anchors would otherwise count at once (Lin et al., 4.1).
_RARE: Final = -4.6


def family_of(pipeline: Any) -> Any:
    """The message of the network's family, `model.ssd` or `model.faster_rcnn`."""
    return getattr(pipeline.model, pipeline.model.WhichOneof("model"))


def is_ssd(pipeline: Any) -> bool:
    """Whether the network is an SSD."""
    return bool(pipeline.model.WhichOneof("model") == "ssd")


def set_input_size(pipeline: Any, size: int) -> None:
    """Scale images to a square of `size` pixels for SSD; for Faster R-CNN, their shorter side to it."""
    resizer = family_of(pipeline).image_resizer
    if is_ssd(pipeline):
        resizer.fixed_shape_resizer.height = resizer.fixed_shape_resizer.width = size
        return
    resizer.keep_aspect_ratio_resizer.min_dimension = size
    resizer.keep_aspect_ratio_resizer.max_dimension = longest_side(size)


def input_size(pipeline: Any) -> int | None:
    """The shorter side of the input in pixels; None if images are not scaled to one size."""
    resizer = family_of(pipeline).image_resizer
    kind = resizer.WhichOneof("image_resizer_oneof")
    if kind == "fixed_shape_resizer":
        return int(min(resizer.fixed_shape_resizer.height, resizer.fixed_shape_resizer.width))
    return int(resizer.keep_aspect_ratio_resizer.min_dimension) if kind == "keep_aspect_ratio_resizer" else None


def pad_batches(pipeline: Any) -> bool:
    """Pad the images of a batch to one size where they keep their shapes; returns whether that is a change."""
    resizer = family_of(pipeline).image_resizer
    if pipeline.train_config.batch_size == 1 or not resizer.HasField("keep_aspect_ratio_resizer"):
        return False
    was = resizer.keep_aspect_ratio_resizer.pad_to_max_dimension
    resizer.keep_aspect_ratio_resizer.pad_to_max_dimension = True
    return not was


def set_max_detections(pipeline: Any, number: int) -> None:
    """Keep at most so many detections of an image, in all and of each class."""
    family = family_of(pipeline)
    suppression = _post_processing(pipeline).batch_non_max_suppression
    suppression.max_detections_per_class = suppression.max_total_detections = number
    if not is_ssd(pipeline):  # its second stage finds at most as many as the first one proposes
        family.first_stage_max_proposals = max(family.first_stage_max_proposals, number)


def max_detections(pipeline: Any) -> int:
    """The largest number of detections in an image."""
    return int(_post_processing(pipeline).batch_non_max_suppression.max_total_detections)


def _post_processing(pipeline: Any) -> Any:
    family = family_of(pipeline)
    return family.post_processing if is_ssd(pipeline) else family.second_stage_post_processing


def set_optimizer(pipeline: Any, kind: Optimizer | None, *, rate: Decimal, steps: int) -> None:
    """Train with this optimizer (None: the one that is set) at a rate that falls to 0 over the run."""
    optimizer = pipeline.train_config.optimizer
    schedule = f"learning_rate {{ {cosine_schedule(rate, steps=steps)} }}"
    if kind is None:
        chosen = getattr(optimizer, optimizer.WhichOneof("optimizer") or "rms_prop_optimizer")
        chosen.ClearField("learning_rate")
        protos.merge(chosen, schedule)
        return
    average = optimizer.use_moving_average
    optimizer.Clear()
    protos.merge(optimizer, OPTIMIZERS["rms_prop" if kind == "rmsProp" else kind].format(schedule=schedule))
    optimizer.use_moving_average = average


def cosine_schedule(rate: Decimal, *, steps: int) -> str:
    """Proto text of a rate that rises to `rate` in the first steps and falls to 0 until the last."""
    return (
        f"cosine_decay_learning_rate {{ learning_rate_base: {rate} total_steps: {steps} "
        f"warmup_learning_rate: {rate / 5} warmup_steps: {min(MAX_WARMUP_STEPS, steps // 15)} }}"
    )


def set_focal_loss(pipeline: Any, loss: FocalLoss) -> None:
    """Train the classes of an SSD with the focal loss, which replaces the choice of hard examples."""
    ssd = pipeline.model.ssd
    ssd.loss.ClearField("hard_example_miner")
    ssd.loss.ClearField("random_example_sampler")
    focal = ssd.loss.classification_loss.weighted_sigmoid_focal
    focal.alpha, focal.gamma = float(loss.alpha), float(loss.gamma)
    # Else the background would be a class with nearly all anchors, on which the loss would concentrate.
    ssd.encode_background_as_zeros = True
    ssd.post_processing.score_converter = ssd.post_processing.SIGMOID
    predictor = getattr(ssd.box_predictor, ssd.box_predictor.WhichOneof("box_predictor_oneof"))
    if not predictor.HasField("class_prediction_bias_init"):
        predictor.class_prediction_bias_init = _RARE


def horizon(pipeline: Any) -> int | None:
    """The step at which a cosine schedule ends; None for schedules without an end."""
    optimizer = pipeline.train_config.optimizer
    kind = optimizer.WhichOneof("optimizer")
    rate = getattr(optimizer, kind).learning_rate if kind else None
    if rate is None or not rate.HasField("cosine_decay_learning_rate"):
        return None
    return int(rate.cosine_decay_learning_rate.total_steps)
