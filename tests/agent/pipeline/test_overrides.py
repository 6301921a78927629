"""Overrides of fields of pipeline.config: what each does, and what a wrong one is told."""

from __future__ import annotations

import pytest

from pipeline_wishes import FASTER, made, parsed, refusal, rows

NMS = "model.ssd.post_processing.batch_non_max_suppression"
RATE = "train_config.optimizer.rms_prop_optimizer.learning_rate"
CROP = "train_config.data_augmentation_options"
OVERRIDES = [
    pytest.param({f"{NMS}.iou_threshold": "0.5"}, [(f"{NMS}.iou_threshold", "0.6", "0.5")], id="number"),
    pytest.param({f"{NMS}.score_threshold": "1e-3"}, [(f"{NMS}.score_threshold", "1e-08", "0.001")], id="exponent"),
    pytest.param({f"{NMS}.iou_threshold": "0.6"}, [], id="its default"),
    pytest.param({f"{NMS}.use_static_shapes": "false"}, [], id="the API's default"),
    pytest.param(
        {"model.ssd.freeze_batchnorm": "true"}, [("model.ssd.freeze_batchnorm", "false", "true")], id="truth value"
    ),
    pytest.param(
        {"model.ssd.post_processing.score_converter": "SOFTMAX"},
        [("model.ssd.post_processing.score_converter", "SIGMOID", "SOFTMAX")],
        id="name of a list",
    ),
    pytest.param(
        {f"{CROP}[0].random_vertical_flip": "{}"},
        [
            (f"{CROP}[0].random_horizontal_flip", "{}", "(not set)"),
            (f"{CROP}[0].random_vertical_flip", "(not set)", "{}"),
        ],
        id="another member of a oneof",
    ),
    pytest.param(
        {f"{CROP}[2].random_adjust_hue.max_delta": "0.1"},
        [(f"{CROP}[2].random_adjust_hue.max_delta", "(not set)", "0.1")],
        id="an element more",
    ),
    pytest.param(
        {f"{CROP}": "[]"},
        [(f"{CROP}[0].random_horizontal_flip", "{}", "(not set)"), (f"{CROP}[1].ssd_random_crop", "{}", "(not set)")],
        id="no elements",
    ),
    pytest.param(
        {"train_config.freeze_variables": '["FeatureExtractor/.*"]'},
        [("train_config.freeze_variables[0]", "(not set)", "FeatureExtractor/.*")],
        id="list of texts",
    ),
    pytest.param(
        {"train_config.freeze_variables[0]": "FeatureExtractor"},
        [("train_config.freeze_variables[0]", "(not set)", "FeatureExtractor")],
        id="first text",
    ),
    pytest.param(
        {"model.ssd.image_resizer.fixed_shape_resizer": "height: 200 width: 400"},
        [
            ("model.ssd.image_resizer.fixed_shape_resizer.height", "300", "200"),
            ("model.ssd.image_resizer.fixed_shape_resizer.width", "300", "400"),
        ],
        id="message as proto text",
    ),
]


@pytest.mark.parametrize(("overrides", "expected"), OVERRIDES)
def test_an_override_changes_its_field_alone(overrides: dict[str, str], expected: list[tuple[str, str, str]]) -> None:
    pipeline = made(model={"overrides": overrides})
    assert [row[:3] for row in rows(pipeline)] == expected
    assert {row[3] for row in rows(pipeline)} <= {"model.overrides"}


def test_an_override_wins_over_a_field_of_the_spec_and_what_is_in_a_message_over_it() -> None:
    keep = "model.ssd.image_resizer.keep_aspect_ratio_resizer"
    pipeline = made(
        model={
            "input_size": 256,
            "overrides": {f"{keep}.max_dimension": "512", f"{keep}.min_dimension": "512", keep: "{}"},
        }
    )
    resizer = parsed(pipeline).model.ssd.image_resizer
    assert resizer.WhichOneof("image_resizer_oneof") == "keep_aspect_ratio_resizer"
    assert (resizer.keep_aspect_ratio_resizer.min_dimension, pipeline.input_size) == (512, 512)


REFUSED = [
    pytest.param(
        "train_config.batch_size",
        "8",
        "train_config.batch_size is set by the run itself, from spec.train.batchSize | Create a new"
        " TrainingRun without the override; to change what it stands for, create a new TrainingRun with another"
        " spec.train.batchSize.",
        id="a field of the run",
    ),
    pytest.param(
        "eval_input_reader[0].tf_record_input_reader.input_path",
        '["/etc/passwd"]',
        "eval_input_reader[0].tf_record_input_reader.input_path is set by the run itself, from spec.dataset.eval |",
        id="a path of the run",
    ),
    pytest.param(
        "train_config",
        "batch_size: 3",
        "train_config holds train_config.batch_size, which the run sets itself; name the fields of train_config to"
        " change one by one |",
        id="a message that holds a field of the run",
    ),
    pytest.param(
        "model.faster_rcnn.first_stage_max_proposals",
        "8",
        "model.faster_rcnn.first_stage_max_proposals is of another network; the fields of ssd_inception_v2 begin with"
        " model.ssd |",
        id="of another family",
    ),
    pytest.param(
        "model.ssd.post_procesing.score_converter",
        "SOFTMAX",
        "model.ssd has no field post_procesing; did you mean post_processing? |",
        id="misspelt",
    ),
    pytest.param(
        "model.ssd.iou_threshold",
        "0.5",
        "model.ssd has no field iou_threshold; there is"
        " model.ssd.similarity_calculator.thresholded_iou_similarity.iou_threshold, "
        "model.ssd.post_processing.batch_non_max_suppression.iou_threshold or"
        " model.ssd.loss.hard_example_miner.iou_threshold |",
        id="of a message below",
    ),
    pytest.param(
        "ssd.num_classes",
        "1",
        "pipeline.config has no field ssd; there is model.ssd |",
        id="without its beginning",
    ),
    pytest.param("model.ssd[", "1", "'model.ssd[' is not a path of fields such as", id="no path"),
    pytest.param(
        f"{NMS}.iou_threshold", "high", f"{NMS}.iou_threshold is a number, not 'high' |", id="text for a number"
    ),
    pytest.param(
        f"{NMS}.max_total_detections",
        "1.5",
        f"{NMS}.max_total_detections is a whole number up to 2147483647, not '1.5' |",
        id="fraction for a whole number",
    ),
    pytest.param(
        "model.ssd.freeze_batchnorm", "1", "model.ssd.freeze_batchnorm is true or false, not '1' |", id="1 for true"
    ),
    pytest.param(
        "model.ssd.post_processing.score_converter",
        "sigmoid",
        "model.ssd.post_processing.score_converter is one of IDENTITY, SIGMOID, SOFTMAX, not 'sigmoid' |",
        id="unknown name",
    ),
    pytest.param(
        NMS,
        "0.5",
        f"{NMS} is a message with the fields score_threshold, iou_threshold, max_detections_per_class,"
        " max_total_detections, use_static_shapes, use_class_agnostic_nms, max_classes_per_detection, soft_nms_sigma:"
        " set one of its fields, not '0.5' |",
        id="number for a message",
    ),
    pytest.param(
        f"{NMS}.iou_threshold.value",
        "1",
        f"{NMS}.iou_threshold is a number, so it has no field value |",
        id="field of a number",
    ),
    pytest.param(
        f"{NMS}[0].iou_threshold",
        "1",
        f"{NMS}[0]: batch_non_max_suppression is a single field, so it has no [0] |",
        id="index of a single field",
    ),
    pytest.param(
        f"{CROP}.random_vertical_flip",
        "{}",
        f"{CROP} is a list: name one of its elements, such as {CROP}[0].random_vertical_flip |",
        id="no index",
    ),
    pytest.param(
        f"{CROP}[7].random_vertical_flip",
        "{}",
        f"{CROP}[7]: the list has 2 elements; [2] adds one |",
        id="index beyond the list",
    ),
    pytest.param(
        f"{CROP}[0].random_adjust_hue.max_delta",
        "0.1",
        f"{CROP}[0].random_adjust_hue: {CROP}[0] has random_horizontal_flip, and can have only one of the two. To"
        f" replace it, also give {CROP}[0].random_adjust_hue itself a value: {{}}, or its fields as proto text |",
        id="silent change of a oneof",
    ),
    pytest.param(
        "train_config.freeze_variables",
        "FeatureExtractor",
        "train_config.freeze_variables is a list of a text, not 'FeatureExtractor': give it a list, or name an element"
        " such as train_config.freeze_variables[0] |",
        id="text for a list",
    ),
    pytest.param(
        "model.ssd.anchor_generator.ssd_anchor_generator.num_layers",
        "5",
        "model.ssd.anchor_generator.ssd_anchor_generator.num_layers is 5, but model.ssd.feature_extractor.num_layers is"
        " 6; they must be equal |",
        id="what the API cannot build",
    ),
    pytest.param(
        "train_config.freeze_variables[0]",
        "\ud800",
        "train_config.freeze_variables[0] is a text, not '\\ud800'",
        id="half of a character",
    ),
    pytest.param(
        "train_config.freeze_variables",
        '["\\ud800"]',
        "train_config.freeze_variables is a text, not '\\ud800'",
        id="half of a character in a list",
    ),
    pytest.param(
        "train_config.freeze_variables",
        '["("]',
        "train_config.freeze_variables[0] is no regular expression: missing ), unterminated subpattern",
        id="no regular expression",
    ),
    pytest.param(
        f"{CROP}[0]", "{}", "train_config.data_augmentation_options[0] names no step", id="no step of augmentation"
    ),
    *(
        pytest.param(
            "train_config.optimizer.rms_prop_optimizer.learning_rate",
            f"constant_learning_rate {{ learning_rate: {rate} }}",
            "train_config.optimizer.rms_prop_optimizer.learning_rate.constant_learning_rate.learning_rate is"
            f" {rate}, not a number from 0 up",
            id=f"rate {rate}",
        )
        for rate in ("nan", "-1", "inf")
    ),
    pytest.param(
        f"{RATE}.cosine_decay_learning_rate.learning_rate_base",
        "0.0001",
        f"{RATE}.cosine_decay_learning_rate has learning_rate_base 0.0001, less than its warmup_learning_rate 0.0008 |",
        id="a rate below that of the warm-up",
    ),
    pytest.param(
        RATE,
        "manual_step_learning_rate { schedule { step: 500 } schedule { step: 300 } }",
        f"{RATE}.manual_step_learning_rate.schedule has the steps 500, 300; they must rise, from 1 on |",
        id="steps that fall",
    ),
    pytest.param(
        RATE,
        "manual_step_learning_rate { schedule { step: 0 } }",
        f"{RATE}.manual_step_learning_rate.schedule has the steps 0; they must rise, from 1 on |",
        id="a change of the rate at step 0",
    ),
    pytest.param(
        RATE,
        "manual_step_learning_rate { }",
        f"{RATE}.manual_step_learning_rate.schedule has no element; use constant_learning_rate for a rate that does not"
        " change |",
        id="no steps",
    ),
    pytest.param(
        RATE,
        "exponential_decay_learning_rate { decay_steps: 0 }",
        f"{RATE}.exponential_decay_learning_rate.decay_steps is 0, but must be 1 at least |",
        id="a decay in no steps",
    ),
    pytest.param(
        "train_config.use_multiclass_scores",
        "true",
        "train_config.use_multiclass_scores needs scores of all classes for each box, which the labels have not |",
        id="labels that there are none of",
    ),
    pytest.param(
        "eval_config.include_metrics_per_category",
        "true",
        "eval_config.include_metrics_per_category must be false: the API needs a changed pycocotools for it;"
        " metrics.json of the export has the scores of each class |",
        id="metrics that cannot be computed",
    ),
]


@pytest.mark.parametrize(("path", "text", "expected"), REFUSED)
def test_a_wrong_override_says_what_is_right(path: str, text: str, expected: str) -> None:
    found = refusal(model={"overrides": {path: text}})
    assert found.startswith(f"OverrideRefused: spec.model.overrides: {expected}"), found


@pytest.mark.parametrize("stages", ["1", "3"])
def test_stages_that_training_cannot_do_are_refused(stages: str) -> None:
    found = refusal(network=FASTER, model={"overrides": {"model.faster_rcnn.number_of_stages": stages}})
    assert found.startswith(
        f"OverrideRefused: spec.model.overrides: model.faster_rcnn.number_of_stages is {stages}, but must be 2: one"
        " stage finds no classes, and three need masks, which the labels have not |"
    ), found


@pytest.mark.parametrize(
    ("network", "path", "text", "other"),
    [
        ("ssd_mobilenet_v2", "model.ssd.feature_extractor.use_depthwise", "true", "ssdlite_mobilenet_v2"),
        (
            "faster_rcnn_resnet101",
            "model.faster_rcnn.second_stage_box_predictor.rfcn_box_predictor",
            "{}",
            "rfcn_resnet101",
        ),
    ],
)
def test_overrides_make_no_other_network(network: str, path: str, text: str, other: str) -> None:
    found = refusal(network=network, model={"overrides": {path: text}})
    assert found.startswith(
        f"OverrideRefused: spec.model.overrides: they make the network {other} of {network}: set model.network to it"
    ), found


@pytest.mark.parametrize(
    "schedule",
    [
        "manual_step_learning_rate { schedule { step: 300 } schedule { step: 500 } }",
        "exponential_decay_learning_rate { initial_learning_rate: 0.01 }",
        "constant_learning_rate { learning_rate: 0.01 }",
        "cosine_decay_learning_rate { total_steps: 1000 warmup_steps: 0 learning_rate_base: 0.0001 }",
        "cosine_decay_learning_rate { total_steps: 1000 warmup_steps: 0 hold_base_rate_steps: 2000 }",
    ],
)
def test_schedules_that_the_api_can_build_are_taken(schedule: str) -> None:
    assert made(model={"overrides": {RATE: schedule}}).text
