"""The model in an SSD pipeline (Liu et al., 2016), as proto text."""

from __future__ import annotations

from trainingrun_agent.pipeline.networks import Network

_TEMPLATE = """
ssd {{
  num_classes: {num_classes}
  image_resizer {{ fixed_shape_resizer {{ height: {size} width: {size} }} }}
  feature_extractor {{
    type: "{extractor}"
    depth_multiplier: {depth_multiplier}
    min_depth: {min_depth}
    {num_layers}
    # ssd_inception_v2 cannot be built without it; MobileNets train better with it.
    override_base_feature_extractor_hyperparams: true
    conv_hyperparams {{ {convolution} }}
  }}
  anchor_generator {{
    ssd_anchor_generator {{
      num_layers: {layers}
      min_scale: {smallest}
      max_scale: {largest}
      {aspect_ratios}
      reduce_boxes_in_lowest_layer: {reduce}
    }}
  }}
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
  box_predictor {{
    convolutional_box_predictor {{
      min_depth: 0
      max_depth: 0
      num_layers_before_predictor: 0
      use_dropout: false
      kernel_size: {kernel}
      box_code_size: 4
      apply_sigmoid_to_scores: false
      conv_hyperparams {{ {convolution} }}
    }}
  }}
  loss {{
    classification_loss {{ weighted_sigmoid {{ }} }}
    localization_loss {{ weighted_smooth_l1 {{ }} }}
    hard_example_miner {{
      num_hard_examples: 3000
      iou_threshold: 0.99
      loss_type: CLASSIFICATION
      max_negatives_per_positive: 3
      # Without it, images without objects would not be trained on.
      min_negatives_per_image: 3
    }}
    classification_weight: 1
    localization_weight: 1
  }}
  normalize_loss_by_num_matches: true
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


def model(network: Network, *, num_classes: int, batch_norm_decay: float) -> str:
    """Proto text of the message `model`."""
    convolution = (
        "activation: RELU_6 regularizer { l2_regularizer { weight: 0.00004 } } "
        "initializer { truncated_normal_initializer { stddev: 0.03 mean: 0.0 } } "
        f"batch_norm {{ train: true scale: true center: true decay: {batch_norm_decay} epsilon: 0.001 }}"
    )
    whole = network.feature_layers == 6
    return _TEMPLATE.format(
        num_classes=num_classes,
        size=network.input_size,
        extractor=network.extractor,
        depth_multiplier=network.depth_multiplier,
        min_depth=network.min_depth,
        num_layers="" if whole else f"num_layers: {network.feature_layers}",
        layers=network.feature_layers,
        smallest=network.smallest_anchor,
        largest=network.largest_anchor,
        aspect_ratios=" ".join(f"aspect_ratios: {ratio}" for ratio in network.aspect_ratios),
        reduce="true" if network.reduces_lowest_layer else "false",
        kernel=network.predictor_kernel,
        convolution=convolution,
    )
