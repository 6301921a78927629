"""The model in an SSD pipeline (Liu et al., 2016), as proto text."""

from __future__ import annotations

from trainingrun_agent.pipeline import fpn
from trainingrun_agent.pipeline.hyperparameters import convolution
from trainingrun_agent.pipeline.networks import Network

_TEMPLATE = """
ssd {{
  num_classes: {num_classes}
  image_resizer {{ fixed_shape_resizer {{ height: {size} width: {size} }} }}
  feature_extractor {{
    type: "{extractor}"
    depth_multiplier: {depth_multiplier}
    min_depth: {min_depth}
    # ssd_inception_v2 cannot be built without it; MobileNets train better with it.
    override_base_feature_extractor_hyperparams: true
    {extractor_fields}
  }}
  anchor_generator {{ {anchors} }}
  box_coder {{ faster_rcnn_box_coder {{ y_scale: 10 x_scale: 10 height_scale: 5 width_scale: 5 }} }}
  matcher {{
    argmax_matcher {{
      matched_threshold: 0.5
      unmatched_threshold: 0.5
      ignore_thresholds: false
      negatives_lower_than_unmatched: true
      force_match_for_each_row: true
    }}
  }}
  similarity_calculator {{ iou_similarity {{ }} }}
  box_predictor {{ {predictor} }}
  loss {{ {loss} }}
  normalize_loss_by_num_matches: true
  {extras}
  post_processing {{
    batch_non_max_suppression {{
      score_threshold: 1e-8
      iou_threshold: 0.6
      max_detections_per_class: 100
      max_total_detections: 100
    }}
    score_converter: SIGMOID
  }}
}}
"""
_LOSS = """
    classification_loss { weighted_sigmoid { } }
    localization_loss { weighted_smooth_l1 { } }
    hard_example_miner {
      num_hard_examples: 3000
      iou_threshold: 0.99
      loss_type: CLASSIFICATION
      max_negatives_per_positive: 3
      # Without it, images without objects would not be trained on.
      min_negatives_per_image: 3
    }
    classification_weight: 1
    localization_weight: 1
"""


def model(network: Network, *, num_classes: int, batch_norm_decay: float) -> str:
    """Proto text of the message `model`."""
    batch_norm = f"train: true scale: true center: true decay: {batch_norm_decay} epsilon: 0.001"
    return _TEMPLATE.format(
        num_classes=num_classes,
        size=network.input_size,
        extractor=network.extractor,
        depth_multiplier=network.depth_multiplier,
        min_depth=network.min_depth,
        **(_without_pyramid(network, batch_norm) if network.pyramid is None else _with_pyramid(network, batch_norm)),
    )


def rewriter(network: Network, *, steps: int) -> str:
    """Proto text of the message `graph_rewriter`; empty unless the network is quantized.

    The ranges of the activations are recorded from the first step; rounding starts when half of the steps are done.
    """
    if not network.quantized:
        return ""
    return f"graph_rewriter {{ quantization {{ delay: {max(1, steps // 2)} weight_bits: 8 activation_bits: 8 }} }}"


def _with_pyramid(network: Network, batch_norm: str) -> dict[str, str]:
    assert network.pyramid is not None
    return {
        "extractor_fields": fpn.extractor(network.pyramid, batch_norm=batch_norm),
        "anchors": fpn.anchors(network, network.pyramid),
        "predictor": fpn.predictor(network.pyramid, batch_norm=batch_norm),
        "loss": fpn.LOSS,
        "extras": fpn.EXTRAS,
    }


def _without_pyramid(network: Network, batch_norm: str) -> dict[str, str]:
    initializer = "truncated_normal_initializer { stddev: 0.03 mean: 0.0 }"
    layer = convolution(initializer, 0.00004, batch_norm=batch_norm)
    layers = "" if network.feature_layers == 6 else f"num_layers: {network.feature_layers}"
    depthwise = "use_depthwise: true" if network.depthwise else ""
    return {
        "extractor_fields": f"{layers} {depthwise} conv_hyperparams {{ {layer} }}",
        "anchors": _anchors(network),
        "predictor": (
            "convolutional_box_predictor { min_depth: 0 max_depth: 0 num_layers_before_predictor: 0 "
            f"use_dropout: false kernel_size: {network.predictor_kernel} {depthwise} box_code_size: 4 "
            f"apply_sigmoid_to_scores: false conv_hyperparams {{ {layer} }} }}"
        ),
        "loss": _LOSS,
        "extras": "",
    }


def _anchors(network: Network) -> str:
    return (
        f"ssd_anchor_generator {{ num_layers: {network.feature_layers} "
        f"min_scale: {network.smallest_anchor} max_scale: {network.largest_anchor} "
        f"{' '.join(f'aspect_ratios: {ratio}' for ratio in network.aspect_ratios)} "
        f"reduce_boxes_in_lowest_layer: {'true' if network.reduces_lowest_layer else 'false'} }}"
    )
