"""The parts of an SSD with a feature pyramid (Lin et al., 2017) that differ from those of other SSDs, as proto text.

Also known as RetinaNet: anchors of every level, one predictor for all levels, and the focal loss over all anchors.
"""

from __future__ import annotations

from trainingrun_agent.pipeline.hyperparameters import convolution
from trainingrun_agent.pipeline.networks import Network, Pyramid

LOSS = """
    classification_loss { weighted_sigmoid_focal { alpha: 0.25 gamma: 2.0 } }
    localization_loss { weighted_smooth_l1 { } }
    classification_weight: 1
    localization_weight: 1
"""
EXTRAS = "encode_background_as_zeros: true normalize_loc_loss_by_codesize: true"


def anchors(network: Network, pyramid: Pyramid) -> str:
    """Text of the message `anchor_generator`."""
    return (
        f"multiscale_anchor_generator {{ min_level: {pyramid.min_level} max_level: {pyramid.max_level} "
        f"anchor_scale: {pyramid.anchor_scale} scales_per_octave: {pyramid.scales_per_octave} "
        f"{' '.join(f'aspect_ratios: {ratio}' for ratio in network.aspect_ratios)} }}"
    )


def extractor(pyramid: Pyramid, *, batch_norm: str) -> str:
    """Text of the fields that the feature extractor needs beside those of every SSD."""
    hyperparameters = convolution(pyramid.initializer, pyramid.weight_decay, batch_norm=batch_norm)
    return (
        f"fpn {{ min_level: {pyramid.min_level} max_level: {pyramid.max_level} }} "
        f"conv_hyperparams {{ {hyperparameters} }}"
    )


def predictor(pyramid: Pyramid, *, batch_norm: str) -> str:
    """Text of the message `box_predictor`; the first scores are low, because nearly all anchors are background."""
    initializer = "random_normal_initializer { stddev: 0.01 mean: 0.0 }"
    hyperparameters = convolution(initializer, pyramid.weight_decay, batch_norm=batch_norm)
    return (
        "weight_shared_convolutional_box_predictor { depth: 256 class_prediction_bias_init: -4.6 "
        f"num_layers_before_predictor: 4 kernel_size: 3 conv_hyperparams {{ {hyperparameters} }} }}"
    )
