"""Build a complete pipeline.config. Its paths are placeholders, which the trainer replaces with paths in its pod."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from trainingrun_agent.errors import UserError
from trainingrun_agent.pipeline import faster_rcnn, protos, ssd
from trainingrun_agent.pipeline.networks import NETWORKS, Network
from trainingrun_agent.pipeline.readers import PLACEHOLDER, readers
from trainingrun_agent.pipeline.typed_fields import OPTIMIZERS, cosine_schedule
from trainingrun_agent.reasons.dataset import CONFIG_REFUSED, LEARNING_RATE_UNUSABLE, UNKNOWN_NETWORK
from trainingrun_agent.terms import Change

API_MAX_BOXES: Final = 100  # the API's default; it drops further boxes silently


def build_pipeline_config(
    *,
    network: str,
    num_classes: int,
    steps: int,
    batch_size: int,
    learning_rate: str,
    shuffle_buffer: int,
    max_boxes_per_image: int,
    pretrained: bool,
) -> str:
    """Proto text of a TrainEvalPipelineConfig; `shuffle_buffer` is a number of records, see `readers.shuffled`.

    Raises UserError for an unknown network or an unusable learning rate.
    """
    known = NETWORKS.get(network)
    if known is None:
        raise UserError(UNKNOWN_NETWORK, network=network, known=", ".join(NETWORKS))
    rate = rate_of(learning_rate)
    boxes = max(API_MAX_BOXES, max_boxes_per_image)
    pipeline = protos.new_pipeline()
    try:
        protos.merge(
            pipeline.model,
            _model(known, num_classes=num_classes, steps=steps, batch_size=batch_size, pretrained=pretrained),
        )
        protos.merge(pipeline, ssd.rewriter(known, steps=steps))
        protos.merge(
            pipeline.train_config,
            _training(known, steps=steps, batch_size=batch_size, rate=rate, boxes=boxes, pretrained=pretrained),
        )
        protos.merge(pipeline, readers(shuffle_buffer=shuffle_buffer, boxes=boxes))
    except protos.ParseError as error:
        raise UserError(CONFIG_REFUSED, problem=error) from error
    return protos.to_text(pipeline)


def batch_norm_decay(steps: int) -> float:
    """Decay of the moving averages of batch normalization; low enough for their initial values to fade within the run.

    With 0.9997, as in the API's sample configurations, a run of less than about 10,000 steps evaluates as if it had
    learned nothing.
    """
    return 1 - min(0.1, max(0.003, 30 / steps))


def _model(network: Network, *, num_classes: int, steps: int, batch_size: int, pretrained: bool) -> str:
    if network.family == "ssd":
        return ssd.model(network, num_classes=num_classes, batch_norm_decay=batch_norm_decay(steps))
    train_batch_norm = faster_rcnn.trains_batch_norm(network, steps=steps, pretrained=pretrained)
    return faster_rcnn.model(network, num_classes=num_classes, batch_size=batch_size, train_batch_norm=train_batch_norm)


def _training(network: Network, *, steps: int, batch_size: int, rate: Decimal, boxes: int, pretrained: bool) -> str:
    schedule = f"learning_rate {{ {cosine_schedule(rate, steps=steps)} }}"
    optimizer = OPTIMIZERS[network.optimizer].format(schedule=schedule)
    lines = [
        f"batch_size: {batch_size} num_steps: {steps} max_number_of_boxes: {boxes}",
        # Moving averages would be a second copy of all weights in each checkpoint, unused by evaluation and export.
        f"optimizer {{ {optimizer} use_moving_average: false }}",
        "data_augmentation_options { random_horizontal_flip { } }",
    ]
    if network.crop:
        lines.append(f"data_augmentation_options {{ {network.crop} }}")
    if network.family == "faster_rcnn":
        lines.append("gradient_clipping_by_norm: 10.0")
    if pretrained:
        # Without the type, the API silently restores hardly any variable. Whether heads are loaded too is known only
        # when the weights are fetched for training: the trainer then sets load_all_detection_checkpoint_vars.
        lines += [
            f'fine_tune_checkpoint: "{PLACEHOLDER}" fine_tune_checkpoint_type: "detection"',
            "from_detection_checkpoint: true",
        ]
    return "\n".join(lines)


def rate_of(text: str) -> Decimal:
    """A learning rate; raises UserError for one that no optimizer can use."""
    try:
        rate = Decimal(text)
    except InvalidOperation:
        rate = Decimal(0)
    if not (rate.is_finite() and 0 < rate <= 10):
        raise UserError(LEARNING_RATE_UNUSABLE, rate=text, change=Change("train.learningRate", to="0.004"))
    return rate
