"""What the spec asks of the network's configuration is in the resolved document, as texts that the agent reads."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun.domain.refusal import NotAcceptedError
from trainingrun.domain.resolve import resolve
from trfakes.builders import SETTINGS, a_run
from trfakes.schema import contract, crd_part, errors


def resolved(**parts: Any) -> dict[str, Any]:
    builder = a_run().spec(**parts)
    assert errors(crd_part("spec"), dict(builder.build().spec)) == []
    document = resolve(builder.build(), settings=SETTINGS, find_run=lambda _: None)
    assert errors(contract("resolved"), document) == []
    return document


MODEL = [
    pytest.param({"inputSize": 512}, {"inputSize": 512}, id="input size"),
    pytest.param({"maxDetections": 300}, {"maxDetections": 300}, id="detections"),
    pytest.param(
        {"config": {"uri": "s3://configs/a.config"}},
        {"config": {"uri": {"bucket": "configs", "key": "a.config"}}},
        id="a file in another bucket",
    ),
    pytest.param(
        {"config": {"configMap": {"name": "mine"}}},
        {"config": {"configMap": {"name": "mine", "key": "pipeline.config"}}},
        id="a ConfigMap",
    ),
    pytest.param(
        {"overrides": {"a": 0.5, "b": True, "c": "SIGMOID", "d": 7, "e": 1e-8, "f": [1, 2.5], "g": {}, "h": ["x"]}},
        {
            "overrides": {
                "a": "0.5",
                "b": "true",
                "c": "SIGMOID",
                "d": "7",
                "e": "1e-08",
                "f": "[1, 2.5]",
                "g": "{}",
                "h": '["x"]',
            }
        },
        id="values of all kinds",
    ),
]


@pytest.mark.parametrize(("asked", "expected"), MODEL)
def test_fields_of_the_model(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    found = resolved(model={**a_run().build().spec["model"], **asked})["model"]
    assert {name: found[name] for name in expected} == expected


TRAIN = [
    pytest.param({"seed": 0, "optimizer": "adam"}, {"seed": 0, "optimizer": "adam"}, id="as they are"),
    pytest.param({"augmentation": []}, {"augmentation": []}, id="no augmentation"),
    pytest.param(
        {"augmentation": [{"name": "random_adjust_hue", "options": {"max_delta": 0.1}}, {"name": "ssd_random_crop"}]},
        {"augmentation": [{"name": "random_adjust_hue", "options": {"max_delta": "0.1"}}, {"name": "ssd_random_crop"}]},
        id="augmentation",
    ),
    pytest.param({"focalLoss": {}}, {"focalLoss": {"alpha": "0.25", "gamma": "2"}}, id="defaults of the focal loss"),
    pytest.param(
        {"focalLoss": {"alpha": 1e-3, "gamma": 0}}, {"focalLoss": {"alpha": "0.001", "gamma": "0"}}, id="focal"
    ),
    pytest.param({"classWeights": {"tire": 2.5}}, {"classWeights": {"tire": "2.5"}}, id="class weights"),
]


@pytest.mark.parametrize(("asked", "expected"), TRAIN)
def test_fields_of_training(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    found = resolved(train=asked)["train"]
    assert {name: found[name] for name in expected} == expected


def test_what_is_not_asked_for_is_not_in_the_document() -> None:
    """So a document of an earlier version is still what the same spec gives."""
    document = resolved()
    assert document["model"].keys() == {"network", "pretrained"}
    added = {"augmentation", "classWeights", "focalLoss", "learningRateOfConfig", "optimizer", "seed"}
    assert not document["train"].keys() & added


@pytest.mark.parametrize(
    ("network", "optimizer", "rate"),
    [
        ("ssd_inception_v2", "rmsProp", "0.004"),
        ("ssd_inception_v2", "adam", "0.001"),
        ("ssd_inception_v2", "momentum", "0.01"),
        ("ssd_mobilenet_v1_0.25_128", "adam", "0.01"),
        ("faster_rcnn_resnet50", "momentum", "0.0003"),
        ("faster_rcnn_resnet50", "adam", "0.0001"),
    ],
)
def test_an_optimizer_starts_from_a_rate_of_its_own(network: str, optimizer: str, rate: str) -> None:
    assert resolved(model={"network": network}, train={"optimizer": optimizer})["train"]["learningRate"] == rate
    given = resolved(model={"network": network}, train={"optimizer": optimizer, "learningRate": "0.05"})
    assert given["train"]["learningRate"] == "0.05"


@pytest.mark.parametrize(
    ("train", "theirs"),
    [({}, True), ({"learningRate": "0.1"}, False), ({"optimizer": "adam"}, False), ({"steps": 5}, True)],
    ids=str,
)
def test_the_schedule_is_the_users_own_unless_the_spec_has_one(train: dict[str, Any], *, theirs: bool) -> None:
    builder = a_run().without("train").spec(model={"config": {"uri": "a.config"}}, train=train)
    document = resolve(builder.build(), settings=SETTINGS, find_run=lambda _: None)
    assert document["train"].get("learningRateOfConfig", False) is theirs


@pytest.mark.parametrize(
    ("network", "size", "side"),
    [("ssd_inception_v2", 300, 1024), ("ssd_inception_v2", 1280, 1280), ("faster_rcnn_resnet50", 900, 1536)],
)
def test_images_are_prepared_no_smaller_than_the_input(network: str, size: int, side: int) -> None:
    assert resolved(model={"network": network, "inputSize": size})["dataset"]["maxImageSide"] == side


REFUSED = [
    pytest.param(
        {"model": {"overrides": {"a": {"b": 1}}}}, "spec.model.overrides: a is not a number, true or", id="object"
    ),
    pytest.param(
        {"model": {"overrides": {"a": [[1]]}}}, "spec.model.overrides: a is not a number, true or", id="lists"
    ),
    pytest.param({"model": {"overrides": {"a": [1] * 200}}}, "a has more than 256 characters.", id="long list"),
    pytest.param({"model": {"overrides": {"a" * 300: 1}}}, "a path has more than 256 characters.", id="long path"),
    pytest.param(
        {"train": {"augmentation": [{"name": "a"}, {"name": "b", "options": {"c": "d" * 65}}]}},
        "spec.train.augmentation[1].options: c has more than 64 characters.",
        id="long option",
    ),
    pytest.param(
        {"train": {"classWeights": {"tyre": 2}}},
        "spec.train.classWeights: 'tyre' is no class of spec.dataset.classes; did you mean 'tire'?",
        id="misspelt class",
    ),
    pytest.param(
        {"train": {"classWeights": {"bicycle": 2}}},
        "spec.train.classWeights: 'bicycle' is no class of spec.dataset.classes; there are 'tire'.",
        id="unknown class",
    ),
]


@pytest.mark.parametrize(("parts", "message"), REFUSED)
def test_what_no_field_can_have_is_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(NotAcceptedError) as caught:
        resolve(a_run().spec(**parts).build(), settings=SETTINGS, find_run=lambda _: None)
    assert message in caught.value.message
