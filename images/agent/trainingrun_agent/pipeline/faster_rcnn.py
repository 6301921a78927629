"""The model in a Faster R-CNN or R-FCN pipeline (Ren et al., 2015; Dai et al., 2016), as proto text."""

from __future__ import annotations

from trainingrun_agent.pipeline.networks import Network

MAX_DIMENSION = 1024
"""Largest number of pixels of an image's longer side."""
ANCHOR_SCALES, ANCHOR_RATIOS = (0.25, 0.5, 1.0, 2.0), (0.5, 1.0, 2.0)
_TEMPLATE = """
faster_rcnn {{
  num_classes: {num_classes}
  image_resizer {{ keep_aspect_ratio_resizer {{ min_dimension: {size} max_dimension: {max_dimension} {pad} }} }}
  feature_extractor {{
    type: "{extractor}"
    first_stage_features_stride: {stride}
    batch_norm_trainable: {train_batch_norm}
  }}
  first_stage_anchor_generator {{
    grid_anchor_generator {{
      {scales}
      {ratios}
      height_stride: {stride}
      width_stride: {stride}
    }}
  }}
  first_stage_atrous_rate: {atrous_rate}
  first_stage_box_predictor_conv_hyperparams {{
    op: CONV
    regularizer {{ l2_regularizer {{ weight: 0.0 }} }}
    initializer {{ truncated_normal_initializer {{ stddev: 0.01 }} }}
  }}
  first_stage_nms_score_threshold: 0.0
  first_stage_nms_iou_threshold: 0.7
  first_stage_max_proposals: 300
  first_stage_localization_loss_weight: 2.0
  first_stage_objectness_loss_weight: 1.0
  {second_stage}
  second_stage_post_processing {{
    batch_non_max_suppression {{
      score_threshold: 0.0
      iou_threshold: 0.6
      max_detections_per_class: 100
      max_total_detections: 100
    }}
    score_converter: SOFTMAX
  }}
  second_stage_localization_loss_weight: 2.0
  second_stage_classification_loss_weight: 1.0
}}
"""


_HEAD = """
  initial_crop_size: {crop_size}
  maxpool_kernel_size: {crop_pool}
  maxpool_stride: {crop_pool}
  second_stage_box_predictor {{
    mask_rcnn_box_predictor {{
      use_dropout: false
      fc_hyperparams {{
        op: FC
        regularizer {{ l2_regularizer {{ weight: 0.0 }} }}
        initializer {{ variance_scaling_initializer {{ factor: 1.0 uniform: true mode: FAN_AVG }} }}
      }}
    }}
  }}
"""
_POSITION_SENSITIVE_HEAD = """
  second_stage_box_predictor {
    rfcn_box_predictor {
      conv_hyperparams {
        op: CONV
        regularizer { l2_regularizer { weight: 0.0 } }
        initializer { truncated_normal_initializer { stddev: 0.01 } }
      }
      crop_height: 18
      crop_width: 18
      num_spatial_bins_height: 3
      num_spatial_bins_width: 3
    }
  }
"""


def model(network: Network, *, num_classes: int, batch_size: int, train_batch_norm: bool) -> str:
    """Proto text of `model`. In batches of several images, all are padded to one size."""
    pad = "pad_to_max_dimension: true" if batch_size > 1 else ""
    head = _HEAD.format(crop_size=network.crop_size, crop_pool=network.crop_pool)
    return _TEMPLATE.format(
        num_classes=num_classes,
        size=network.input_size,
        max_dimension=MAX_DIMENSION,
        scales=" ".join(f"scales: {scale}" for scale in ANCHOR_SCALES),
        ratios=" ".join(f"aspect_ratios: {ratio}" for ratio in ANCHOR_RATIOS),
        extractor=network.extractor,
        stride=network.stride,
        atrous_rate=network.atrous_rate,
        train_batch_norm="true" if train_batch_norm else "false",
        second_stage=_POSITION_SENSITIVE_HEAD if network.position_sensitive else head,
        pad=pad,
    )


def trains_batch_norm(network: Network, *, steps: int, pretrained: bool) -> bool:
    """Whether to train the statistics of batch normalization.

    Pretrained weights have better ones than batches of one or two images give. Random weights have none, so they are
    trained, but the API updates them slowly: in a short run, evaluation would use hardly more than their first values,
    while training uses those of the batch. Such runs train and evaluate with the first values.
    """
    return not pretrained and steps >= network.batch_norm_steps
