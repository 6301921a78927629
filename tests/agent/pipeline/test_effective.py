"""The configuration that a run is trained with: the fields of the spec, a user's own file, and the refusals of both."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pipeline_wishes import CLASSES, FASTER, SSD, TRAIN, default, made, parsed, refusal, rows
from trainingrun_agent.pipeline import augmentation
from trainingrun_agent.pipeline.effective import OwnConfig, Pipeline, Wishes, effective
from trainingrun_agent.pipeline.networks import NETWORKS
from trainingrun_agent.training_settings import Augmentation, FocalLoss, Model

NMS = "model.ssd.post_processing.batch_non_max_suppression"
HORIZON = "train_config.optimizer.rms_prop_optimizer.learning_rate.cosine_decay_learning_rate.total_steps"


def steps_of(pipeline: Pipeline) -> list[str]:
    return [one.WhichOneof("preprocessing_step") for one in parsed(pipeline).train_config.data_augmentation_options]


@pytest.mark.parametrize("network", NETWORKS)
def test_without_a_wish_it_is_the_networks_default(network: str) -> None:
    pipeline = made(network)
    assert pipeline.text == default(network)
    assert (pipeline.changes, pipeline.notes) == ((), ())
    assert pipeline.input_size == NETWORKS[network].input_size


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("size", [256, 512])
def test_the_input_has_the_size_that_is_asked_for(network: str, size: int) -> None:
    pipeline = made(network, model={"input_size": size})
    assert pipeline.input_size == size
    assert {row[3] for row in rows(pipeline)} == {"model.inputSize"}


def test_the_longer_side_of_faster_rcnn_follows_the_shorter_one() -> None:
    resizer = parsed(made(FASTER, model={"input_size": 300})).model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer
    assert (resizer.min_dimension, resizer.max_dimension) == (300, 512)


@pytest.mark.parametrize(("network", "number", "proposals"), [(SSD, 250, 0), (FASTER, 250, 300), (FASTER, 400, 400)])
def test_more_detections_are_kept_of_each_class_and_in_all(network: str, number: int, proposals: int) -> None:
    pipeline = made(network, model={"max_detections": number})
    model = parsed(pipeline).model
    processing = model.ssd.post_processing if network == SSD else model.faster_rcnn.second_stage_post_processing
    suppression = processing.batch_non_max_suppression
    assert (suppression.max_detections_per_class, suppression.max_total_detections) == (number, number)
    assert proposals in (0, model.faster_rcnn.first_stage_max_proposals)
    assert pipeline.notes == ("the scores count the 100 best detections of an image, as COCO's do",)


@pytest.mark.parametrize("network", [SSD, FASTER])
@pytest.mark.parametrize(
    ("optimizer", "field"),
    [("adam", "adam_optimizer"), ("momentum", "momentum_optimizer"), ("rmsProp", "rms_prop_optimizer")],
)
def test_every_optimizer_gets_the_schedule(network: str, optimizer: str, field: str) -> None:
    chosen = parsed(made(network, train={"optimizer": optimizer, "learning_rate": "0.02"})).train_config.optimizer
    assert (chosen.WhichOneof("optimizer"), chosen.use_moving_average) == (field, False)
    schedule = getattr(chosen, field).learning_rate.cosine_decay_learning_rate
    assert (schedule.learning_rate_base, schedule.total_steps) == (pytest.approx(0.02), 1000)


def test_focal_loss_replaces_hard_examples() -> None:
    ssd = parsed(made(train={"focal_loss": FocalLoss("0.25", "2")})).model.ssd
    focal = ssd.loss.classification_loss.weighted_sigmoid_focal
    assert (focal.alpha, focal.gamma) == (0.25, 2)
    assert not ssd.loss.HasField("hard_example_miner")
    assert ssd.encode_background_as_zeros
    assert ssd.box_predictor.convolutional_box_predictor.class_prediction_bias_init == pytest.approx(-4.6)


@pytest.mark.parametrize("name", augmentation.STEPS)
def test_every_step_can_be_asked_for_without_options(name: str) -> None:
    assert steps_of(made(train={"augmentation": (Augmentation(name),)})) == [name]


def test_augmentation_replaces_that_of_the_network_in_order() -> None:
    asked = (
        Augmentation("random_adjust_hue", {"max_delta": "0.05"}),
        Augmentation("random_crop_pad_image", {"min_padded_size_ratio": "[1.0, 1.5]"}),
    )
    pipeline = made(train={"augmentation": asked})
    assert steps_of(pipeline) == ["random_adjust_hue", "random_crop_pad_image"]
    hue, crop = parsed(pipeline).train_config.data_augmentation_options
    assert hue.random_adjust_hue.max_delta == pytest.approx(0.05)
    assert list(crop.random_crop_pad_image.min_padded_size_ratio) == [1, 1.5]
    assert {row[3] for row in rows(pipeline)} == {"train.augmentation"}
    assert steps_of(made(train={"augmentation": ()})) == []


def test_what_differs_is_listed_in_the_order_of_the_file() -> None:
    asked = (Augmentation("random_adjust_hue", {"max_delta": "0.05"}), Augmentation("random_rgb_to_gray", {}))
    paths = [row[0] for row in rows(made(model={"input_size": 256}, train={"augmentation": asked}))]
    assert ["image_resizer" in path for path in paths[:2]] == [True, True]
    assert [path.split(".")[1] for path in paths[2:]] == [
        "data_augmentation_options[0]",
        "data_augmentation_options[0]",
        "data_augmentation_options[1]",
        "data_augmentation_options[1]",
    ], paths


ARROWS = ("arrow_left", "arrow_right")
OUT = "random_horizontal_flip is left out, because it would turn images of arrow_left into images of arrow_right"
KEPT = "random_horizontal_flip turns images of arrow_left into images of arrow_right, which keep their class"


def test_flips_are_left_out_where_classes_are_left_and_right() -> None:
    pipeline = made(classes=ARROWS)
    assert steps_of(pipeline) == ["ssd_random_crop"]
    assert pipeline.notes == (OUT,)
    assert {row[3] for row in rows(pipeline)} == {"dataset.classes"}


def test_a_flip_that_is_asked_for_is_done_and_warned_about() -> None:
    flip = made(classes=ARROWS, train={"augmentation": (Augmentation("random_horizontal_flip"),)})
    assert (steps_of(flip), flip.notes) == (["random_horizontal_flip"], (KEPT,))
    assert made(classes=ARROWS, train={"augmentation": (Augmentation("random_adjust_hue"),)}).notes == ()
    own = made(classes=ARROWS, config=default())
    assert ("random_horizontal_flip" in steps_of(own), own.notes) == (True, (KEPT,))


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (
            Augmentation("random_horizontal_flp"),
            "[0].name: there is no step random_horizontal_flp; did you mean random_horizontal_flip",
        ),
        (
            Augmentation("normalize_image"),
            "[0].name: normalize_image does not change images at random, or needs values of its own; set it with model",
        ),
        (
            Augmentation("random_adjust_hue", {"delta": "1"}),
            "[0].options: random_adjust_hue has no field delta; did you mean max_delta?",
        ),
        (
            Augmentation("random_adjust_hue", {"max_delta": "much"}),
            "[0].options: random_adjust_hue.max_delta is a number, not 'much'",
        ),
    ],
    ids=["unknown", "no augmentation", "unknown option", "wrong type"],
)
def test_a_wrong_step_says_what_is_right(step: Augmentation, expected: str) -> None:
    found = refusal(train={"augmentation": (step,)})
    assert found.startswith(f"AugmentationRefused: spec.train.augmentation{expected}"), found


def test_focal_loss_is_not_for_faster_rcnn() -> None:
    assert refusal(network=FASTER, train={"focal_loss": FocalLoss("0.25", "2")}).startswith(
        "FocalLossUnfit: spec.train.focalLoss is for SSD networks, and spec.model.network is faster_rcnn_resnet50"
    )


OWN = default(SSD, num_classes=90, batch_size=24, steps=200_000).replace("iou_threshold: 0.6", "iou_threshold: 0.4")


def test_a_users_own_configuration_keeps_all_but_what_the_run_sets() -> None:
    pipeline = made(config=OWN, train={"learning_rate_of_config": True})
    config = parsed(pipeline)
    assert config.model.ssd.post_processing.batch_non_max_suppression.iou_threshold == pytest.approx(0.4)
    assert (config.model.ssd.num_classes, config.train_config.batch_size, config.train_config.num_steps) == (2, 4, 1000)
    assert (f"{NMS}.iou_threshold", "0.6", "0.4", "model.config") in rows(pipeline)
    assert [(one.path, one.default, one.here) for one in pipeline.replaced] == [
        ("model.ssd.num_classes", "90", "2"),
        ("train_config.batch_size", "24", "4"),
        ("train_config.num_steps", "200000", "1000"),
    ]
    assert pipeline.notes == ("the learning rate is planned for 200000 steps, and train.steps is 1000",)


@pytest.mark.parametrize("size", [None, 300])
@pytest.mark.parametrize(("batch", "padded"), [(1, False), (4, True)])
def test_images_of_a_batch_are_padded_whatever_the_users_own_configuration_says(
    batch: int, padded: bool, size: int | None
) -> None:
    """The samples of the API are for one image; a batch of images of different shapes would end training."""
    own = default(FASTER, batch_size=1)
    assert "pad_to_max_dimension" not in own
    if size is not None:
        own = re.sub(
            r"keep_aspect_ratio_resizer \{.*?\}", "fixed_shape_resizer { height: 300 width: 300 }", own, flags=re.DOTALL
        )
    pipeline = effective(
        default(FASTER, batch_size=batch),
        Wishes(
            Model(FASTER, None, input_size=size), replace(TRAIN, batch_size=batch), CLASSES, OwnConfig(own, "my.config")
        ),
    )
    resizer = parsed(pipeline).model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer
    assert resizer.pad_to_max_dimension is padded
    expected = ("images are padded to one size, because train.batchSize is 4",) if padded else ()
    assert pipeline.notes == expected


def test_a_learning_rate_in_the_spec_replaces_the_schedule_of_the_users_own_configuration() -> None:
    pipeline = made(config=OWN, train={"learning_rate": "0.1"})
    assert pipeline.notes == ()
    assert (HORIZON, "200000") not in [(one.path, one.here) for one in pipeline.changes]
    schedule = parsed(pipeline).train_config.optimizer.rms_prop_optimizer.learning_rate.cosine_decay_learning_rate
    assert (schedule.learning_rate_base, schedule.total_steps) == (pytest.approx(0.1), 1000)


HERE = "spec.model.config: s3://detectors/my.config"
OWN_REFUSED = [
    pytest.param(
        default("ssd_mobilenet_v2"),
        f"ModelConfigMismatch: {HERE} is of the network ssd_mobilenet_v2 or ssd_mobilenet_v2_quantized, but"
        " spec.model.network is ssd_inception_v2 |"
        " Create a new TrainingRun with spec.model.network: ssd_mobilenet_v2 (now ssd_inception_v2); or, to keep the"
        " network, create a new TrainingRun with another spec.model.config.",
        id="another network",
    ),
    pytest.param(
        default(FASTER),
        f"ModelConfigMismatch: {HERE} is of the network faster_rcnn_resnet50, but spec.model.network is"
        " ssd_inception_v2 |",
        id="another family",
    ),
    pytest.param(
        default().replace("ssd_inception_v2", "ssd_pnasnet"),
        f"ModelConfigMismatch: {HERE} is of a network with the feature extractor 'ssd_pnasnet', which is none of those"
        " here, but spec.model.network is ssd_inception_v2 | Create a new TrainingRun with another spec.model.config:"
        " one of spec.model.network.",
        id="an unknown network",
    ),
    pytest.param(
        default().replace("ssd_inception_v2", "x" * 100_000),
        f"ModelConfigMismatch: {HERE} is of a network with the feature extractor '{'x' * 60}', which is none of those",
        id="a long name of a network",
    ),
    pytest.param(
        "model {\n  ssd {\n    feature_extractor { batch_norm_trainable: true }\n  }\n}",
        f"ModelConfigUnusable: {HERE} is not a pipeline.config of this Object Detection API: line 3, column 25: Message"
        ' type "SsdFeatureExtractor" has no field named "batch_norm_trainable". | Correct the file, then raise'
        " spec.retry; or create a new TrainingRun with another spec.model.config.",
        id="a field of another version",
    ),
    pytest.param("", f"ModelConfigUnusable: {HERE} describes no network: it has neither", id="empty"),
    pytest.param("{}", f"ModelConfigUnusable: {HERE} is not a pipeline.config", id="JSON"),
    pytest.param("\0", f"ModelConfigUnusable: {HERE} is not a pipeline.config", id="no text"),
    pytest.param(
        default().replace("override_base_feature_extractor_hyperparams: true", ""),
        f"ModelConfigUnusable: {HERE} cannot be trained with:"
        " model.ssd.feature_extractor.override_base_feature_extractor_hyperparams must be true for ssd_inception_v2 |",
        id="what the API cannot build",
    ),
    pytest.param(
        'model { ssd { feature_extractor { type: "ssd_inception_v2" } } }',
        f"ModelConfigUnusable: {HERE} cannot be trained with: model.ssd.image_resizer is not set: it needs one of"
        " keep_aspect_ratio_resizer, fixed_shape_resizer, identity_resizer, conditional_shape_resizer |",
        id="a part is missing",
    ),
]


@pytest.mark.parametrize(("text", "expected"), OWN_REFUSED)
def test_a_wrong_configuration_of_the_user_says_what_is_wrong(text: str, expected: str) -> None:
    found = refusal(config=text)
    assert found.startswith(expected), found


def test_a_users_own_configuration_may_have_lists_of_any_length() -> None:
    many = 'train_config { freeze_variables: "a" } ' * 10_001
    pipeline = made(config=default() + many)
    assert len(parsed(pipeline).train_config.freeze_variables) == 10_001
