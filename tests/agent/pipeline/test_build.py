"""pipeline.config: every network builds, and the fields that decide whether a run learns have their values."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun_agent.errors import UserError
from trainingrun_agent.pipeline import protos
from trainingrun_agent.pipeline.build import batch_norm_decay, build_pipeline_config
from trainingrun_agent.pipeline.networks import NETWORKS
from trainingrun_agent.pipeline.readers import shuffled

ARGUMENTS: dict[str, Any] = {
    "network": "ssd_inception_v2",
    "num_classes": 3,
    "steps": 1000,
    "batch_size": 4,
    "learning_rate": "0.004",
    "shuffle_buffer": 120,
    "max_boxes_per_image": 7,
    "pretrained": True,
}
SSD = [name for name, network in NETWORKS.items() if network.family == "ssd"]
PYRAMID = [name for name in SSD if NETWORKS[name].pyramid is not None]
QUANTIZED = [name for name in SSD if NETWORKS[name].quantized]
FASTER_RCNN = [name for name, network in NETWORKS.items() if network.family == "faster_rcnn"]


def built(**changes: Any) -> Any:
    config = protos.new_pipeline()
    protos.merge(config, build_pipeline_config(**{**ARGUMENTS, **changes}))
    return config


def optimizer_of(config: Any) -> Any:
    optimizer = config.train_config.optimizer
    return getattr(optimizer, optimizer.WhichOneof("optimizer"))


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_has_the_fields_that_decide_whether_it_learns(network: str) -> None:
    config = built(network=network)
    model = getattr(config.model, config.model.WhichOneof("model"))
    assert model.num_classes == 3
    training = config.train_config
    assert (training.batch_size, training.num_steps) == (4, 1000)
    assert training.fine_tune_checkpoint_type == "detection"
    assert training.from_detection_checkpoint
    assert not training.load_all_detection_checkpoint_vars
    assert training.fine_tune_checkpoint
    assert not training.optimizer.use_moving_average
    schedule = optimizer_of(config).learning_rate.cosine_decay_learning_rate
    assert schedule.learning_rate_base == pytest.approx(0.004)
    assert schedule.total_steps == 1000
    assert 0 < schedule.warmup_steps < 1000
    assert schedule.warmup_learning_rate < schedule.learning_rate_base
    assert config.train_input_reader.shuffle_buffer_size == 120
    assert not config.eval_input_reader[0].shuffle
    assert not config.eval_config.use_moving_averages
    assert list(config.eval_config.metrics_set) == ["coco_detection_metrics"]
    assert config.eval_config.num_visualizations < 10


@pytest.mark.parametrize("network", SSD)
def test_ssd_has_short_batch_norm_averages_and_learns_from_empty_images(network: str) -> None:
    model = built(network=network).model.ssd
    predictor = getattr(model.box_predictor, model.box_predictor.WhichOneof("box_predictor_oneof"))
    assert model.feature_extractor.conv_hyperparams.batch_norm.decay == pytest.approx(0.97)
    assert predictor.conv_hyperparams.batch_norm.decay == pytest.approx(0.97)
    assert model.feature_extractor.override_base_feature_extractor_hyperparams
    if network in PYRAMID:
        assert model.loss.classification_loss.HasField("weighted_sigmoid_focal")  # it needs no miner
        assert predictor.class_prediction_bias_init < -4
    else:
        assert model.loss.hard_example_miner.min_negatives_per_image == 3
        assert model.anchor_generator.ssd_anchor_generator.num_layers == model.feature_extractor.num_layers


@pytest.mark.parametrize("network", PYRAMID)
def test_a_pyramid_has_anchors_for_each_level(network: str) -> None:
    model = built(network=network).model.ssd
    levels, anchors = model.feature_extractor.fpn, model.anchor_generator.multiscale_anchor_generator
    assert (levels.min_level, levels.max_level) == (anchors.min_level, anchors.max_level) == (3, 7)


@pytest.mark.parametrize(("steps", "delay"), [(1, 1), (150, 75), (20_000, 10_000)], ids=str)
@pytest.mark.parametrize("network", NETWORKS)
def test_only_quantized_networks_round_and_from_half_of_the_run_on(network: str, steps: int, delay: int) -> None:
    config = built(network=network, steps=steps)
    assert config.HasField("graph_rewriter") is (network in QUANTIZED)
    if network in QUANTIZED:
        rounding = config.graph_rewriter.quantization
        assert (rounding.delay, rounding.weight_bits, rounding.activation_bits) == (delay, 8, 8)


def test_ssdlite_has_depthwise_layers() -> None:
    model = built(network="ssdlite_mobilenet_v2").model.ssd
    assert model.feature_extractor.use_depthwise
    assert model.box_predictor.convolutional_box_predictor.use_depthwise


@pytest.mark.parametrize(
    ("network", "steps", "pretrained", "trained"),
    [
        ("faster_rcnn_resnet50", 1000, False, True),
        ("rfcn_resnet101", 999, False, False),
        ("faster_rcnn_resnet101", 20_000, True, False),
        ("faster_rcnn_inception_v2", 10_000, False, True),
        ("faster_rcnn_inception_resnet_v2", 9_999, False, False),
    ],
    ids=["long enough", "too short", "pretrained", "slow averages", "too short for slow averages"],
)
def test_faster_rcnn_trains_batch_norm_in_long_runs_from_random_weights(
    network: str, steps: int, *, pretrained: bool, trained: bool
) -> None:
    config = built(network=network, steps=steps, pretrained=pretrained)
    assert config.model.faster_rcnn.feature_extractor.batch_norm_trainable is trained


def test_inception_resnet_looks_closer_than_other_faster_rcnns() -> None:
    model = built(network="faster_rcnn_inception_resnet_v2").model.faster_rcnn
    anchors = model.first_stage_anchor_generator.grid_anchor_generator
    assert (model.feature_extractor.first_stage_features_stride, model.first_stage_atrous_rate) == (8, 2)
    assert (anchors.height_stride, anchors.width_stride, model.initial_crop_size) == (8, 8, 17)


def test_rfcn_has_a_position_sensitive_second_stage() -> None:
    model = built(network="rfcn_resnet101").model.faster_rcnn
    assert model.second_stage_box_predictor.HasField("rfcn_box_predictor")


@pytest.mark.parametrize("network", FASTER_RCNN)
@pytest.mark.parametrize(("batch_size", "padded"), [(1, False), (2, True)])
def test_faster_rcnn_pads_images_only_to_put_several_in_a_batch(network: str, batch_size: int, *, padded: bool) -> None:
    resizer = built(network=network, batch_size=batch_size).model.faster_rcnn.image_resizer
    assert resizer.keep_aspect_ratio_resizer.pad_to_max_dimension is padded


@pytest.mark.parametrize(
    ("steps", "decay"), [(1, 0.9), (100, 0.9), (1000, 0.97), (10_000, 0.997), (200_000, 0.997)], ids=str
)
def test_batch_norm_decay_follows_the_length_of_the_run(steps: int, decay: float) -> None:
    assert batch_norm_decay(steps) == pytest.approx(decay)


BUFFERS = {
    "one image": (1, 100_000, 1),
    "small images": (100_000, 100_000, 2048),
    "of unknown size": (100_000, 0, 2048),
    "just as many as fit": (100_000, 128 << 10, 2048),
    "large images": (100_000, 1 << 20, 256),
    "fewer than fit": (200, 1 << 20, 200),
    "huge images": (100_000, 1 << 30, 16),
}


@pytest.mark.parametrize(("images", "size", "buffer"), BUFFERS.values(), ids=BUFFERS)
def test_the_shuffle_buffer_is_bounded_in_bytes(images: int, size: int, buffer: int) -> None:
    assert shuffled(images, size) == buffer


def test_few_files_are_open_at_once() -> None:
    """The API's default of 64 readers, of 32 records each, holds thousands of records beside the shuffle buffer."""
    reader = built().train_input_reader
    assert (reader.num_readers, reader.read_block_length) == (4, 4)


@pytest.mark.parametrize(("most", "boxes"), [(0, 100), (100, 100), (250, 250)], ids=str)
def test_no_box_of_a_crowded_image_is_cut_off(most: int, boxes: int) -> None:
    config = built(max_boxes_per_image=most)
    readers = [config.train_input_reader, config.eval_input_reader[0]]
    assert [config.train_config.max_number_of_boxes, *(one.max_number_of_boxes for one in readers)] == [boxes] * 3


def test_training_from_scratch_names_no_checkpoint() -> None:
    assert not built(pretrained=False).train_config.HasField("fine_tune_checkpoint")


@pytest.mark.parametrize("steps", [1, 2, 10], ids=str)
@pytest.mark.parametrize("network", NETWORKS)
def test_the_shortest_runs_have_a_schedule(network: str, steps: int) -> None:
    schedule = optimizer_of(built(network=network, steps=steps)).learning_rate.cosine_decay_learning_rate
    assert schedule.total_steps == steps
    assert schedule.warmup_steps < steps


@pytest.mark.parametrize("rate", ["0", "-1", "fast", "", "nan", "11"])
def test_an_unusable_learning_rate_names_its_field(rate: str) -> None:
    with pytest.raises(UserError, match=r"LearningRateUnusable: spec\.train\.learningRate"):
        built(learning_rate=rate)


def test_an_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"UnknownNetwork: spec\.model\.network 'yolo'") as caught:
        built(network="yolo")
    assert all(name in caught.value.hint for name in NETWORKS)


def test_numbers_look_as_they_were_written() -> None:
    """The API keeps them in 32 bits, in which 0.45 is 0.449999988."""
    pipeline = protos.new_pipeline()
    protos.merge(pipeline.model, "ssd { post_processing { batch_non_max_suppression { iou_threshold: 0.45 } } }")
    assert "iou_threshold: 0.45\n" in protos.to_text(pipeline)
