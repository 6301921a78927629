"""What training may take from pretrained weights: everything of the same network and classes, else no wrong head."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

import pipeline_wishes
from trainingrun_agent.pipeline.build import build_pipeline_config
from trainingrun_agent.pipeline.networks import NETWORKS
from trainingrun_agent.pipeline.start import Export, Start, start_from
from trainingrun_agent.prep.output.label_map import label_map
from trainingrun_agent.training_settings import FocalLoss

CLASSES = ("tire", "wheel rim", 'a "hub"', "Räder")
NETWORK = "ssd_inception_v2"


def config(network: str = NETWORK, **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "num_classes": len(CLASSES),
        "steps": 1000,
        "batch_size": 1,
        "learning_rate": "0.004",
        "shuffle_buffer": 120,
        "max_boxes_per_image": 7,
        "pretrained": True,
    }
    return build_pipeline_config(network=network, **{**arguments, **changes})


def start(export: Export | None, *, network: str = NETWORK, classes: Sequence[str] = CLASSES) -> Start:
    return start_from(export, pipeline_config=config(network), classes=classes)


def export_of(classes: Sequence[str], network: str = NETWORK, **changes: Any) -> Export:
    return Export(config(network, num_classes=len(classes), **changes), label_map(classes).decode())


@pytest.mark.parametrize("network", NETWORKS)
def test_the_same_network_and_classes_continue_with_every_variable(network: str) -> None:
    other_training = {"steps": 20, "batch_size": 8, "learning_rate": "0.1", "pretrained": False}
    assert start(export_of(CLASSES, network, **other_training), network=network) == Start("all")


@pytest.mark.parametrize(
    ("theirs", "why"),
    [
        (["tire"], 'the classes differ (tire, wheel rim, a "hub", Räder; there: tire)'),
        (
            ["wheel rim", "tire", 'a "hub"', "Räder"],
            (
                'the order of the classes differs (tire, wheel rim, a "hub", Räder; '
                'there: wheel rim, tire, a "hub", Räder)'
            ),
        ),
        (
            ["Tire", "wheel rim", 'a "hub"', "Räder"],
            'the classes differ (tire, wheel rim, a "hub", Räder; there: Tire, wheel rim, a "hub", Räder)',
        ),
    ],
    ids=["fewer", "another order", "another name"],
)
def test_other_classes_start_their_heads_anew(theirs: list[str], why: str) -> None:
    assert start(export_of(theirs)) == Start("allButClasses", why)


def test_many_classes_are_named_in_a_short_text() -> None:
    many = [f"class number {number}" for number in range(400)]
    found = start(export_of(["x" * 500]), classes=many).why
    shown = "class number 0, class number 1, class number 2"
    assert found == f"the classes differ ({shown} and 397 more; there: {'x' * 50})"


@pytest.mark.parametrize("theirs", [name for name in NETWORKS if name != NETWORK])
def test_weights_of_another_network_give_no_head(theirs: str) -> None:
    found = start(export_of(CLASSES, theirs))
    assert found.scope == "featureExtractor"
    assert found.why.startswith("the export is of another network (differs in ")


@pytest.mark.parametrize("focal_at_first", [True, False])
def test_the_focal_loss_makes_no_other_network(focal_at_first: bool) -> None:
    """It sets the first value of a bias, which the weights replace."""
    plain = pipeline_wishes.default()
    focal = pipeline_wishes.made(train={"focal_loss": FocalLoss("0.25", "2")}).text
    theirs, ours = (focal, plain) if focal_at_first else (plain, focal)
    classes = pipeline_wishes.CLASSES
    export = Export(theirs, label_map(classes).decode())
    assert start_from(export, pipeline_config=ours, classes=classes) == Start("all")


def test_other_anchors_give_no_head() -> None:
    same = export_of(CLASSES)
    assert same.pipeline_config is not None
    other = Export(re.sub(r"max_scale: [\d.]+", "max_scale: 0.5", same.pipeline_config), same.label_map)
    assert other != same
    why = "the export is of another network (differs in anchor_generator)"
    assert start(other) == Start("featureExtractor", why)


@pytest.mark.parametrize("export", [None, "same", "other classes"])
def test_backbone_takes_the_feature_extractor_alone(export: str | None) -> None:
    weights = export and export_of(CLASSES if export == "same" else ["other"])
    found = start_from(weights, "backbone", pipeline_config=config(), classes=CLASSES)
    assert found == Start("featureExtractor", "model.pretrained.scope is backbone")


@pytest.mark.parametrize("theirs", [CLASSES, ["other"]])
def test_asking_for_everything_makes_nothing_more_fit(theirs: list[str]) -> None:
    export = export_of(theirs)
    assert start_from(export, "all", pipeline_config=config(), classes=CLASSES) == start(export)


def test_an_archive_gives_no_head() -> None:
    """Its boxes are of other anchors, and it has no label map."""
    assert start(None) == Start("featureExtractor", "an archive does not name its classes")


DEEP = "item { " * 3000
UNREADABLE = {
    "none": None,
    "empty": "",
    "other text": "hello {",
    "unknown field": "model { ssd { speed: 3 } } item { weight: 3 }",
    "deep": DEEP,
    "an id twice": "item { id: 1 name: 'a' } item { id: 1 name: 'b' }",
    "no first id": "item { id: 2 name: 'a' }",
    "broken name": "item { id: 1 name: '\\xff' }",
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_label_map_gives_no_head(text: str | None) -> None:
    export = Export(config(), text)
    assert start(export) == Start("featureExtractor", "the export has no readable label_map.pbtxt")


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_pipeline_config_gives_no_head(text: str | None) -> None:
    export = Export(text, label_map(CLASSES).decode())
    assert start(export) == Start("featureExtractor", "the export has no readable pipeline.config")
