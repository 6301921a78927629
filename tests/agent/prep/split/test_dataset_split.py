"""One folder of images divided into train and eval."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from label_sets import CLASSES, SETS, images
from prep_in_memory import Preparation
from trainingrun_agent.config import SplitRule
from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.split.eval_fraction import split_of

RULE = SplitRule(Decimal("0.3"), 0, "image")


@pytest.fixture
def prep(prep: Preparation) -> Preparation:
    """Forty images in one folder, about three in ten for evaluation."""
    prep.memory.objects.clear()
    for number in range(40):
        prep.add(f"{number}")
    prep.eval, prep.split = None, RULE
    return prep


def names(prep: Preparation, split: str) -> set[str]:
    """Numbers of the images in the records of a split."""
    manifest = prep.document("MANIFEST.json")
    found = [
        prep.memory.objects[f"ml/{entry['key']}"] for entry in manifest["objects"] if entry["role"] == f"{split}Records"
    ]
    return {
        f"{number}"
        for number in range(99)
        if any(f"\n{len(f'{number}.jpg'):c}{number}.jpg".encode() in data for data in found)
    }


def test_every_image_is_in_its_split(prep: Preparation, contract: Callable[[str, Any], None]) -> None:
    made = prep.run()
    contract("manifest", prep.document("MANIFEST.json"))
    contract("report", prep.document("report.json"))
    expected = {
        split: {f"{n}" for n in range(40) if split_of(f"{n}.jpg", RULE) == split} for split in ("train", "eval")
    }
    assert {split: names(prep, split) for split in expected} == expected
    assert (made.train_images, made.eval_images) == (len(expected["train"]), len(expected["eval"]))
    assert 5 <= made.eval_images <= 20


def test_findings_are_reported_in_the_split_of_their_image(prep: Preparation) -> None:
    prep.max_bad_files = "10%"
    bad = {split: next(f"{n}" for n in range(40) if split_of(f"{n}.jpg", RULE) == split) for split in ("train", "eval")}
    for name in bad.values():
        prep.add(name, b"<html>")
    prep.run()
    report = prep.document("report.json")
    assert {(item["split"], item["file"]) for item in report["findings"]} == {
        (split, f"{name}.jpg") for split, name in bad.items()
    }
    assert [report["splits"][split]["badFiles"] for split in ("train", "eval")] == [1, 1]


def test_another_rule_is_another_data_set(prep: Preparation) -> None:
    first = prep.run()
    prep.split = SplitRule(Decimal("0.3"), 1, "image")
    second = prep.run()
    assert second.digest != first.digest
    assert not second.reused


def test_an_eval_set_without_images_is_refused(prep: Preparation) -> None:
    prep.split = SplitRule(Decimal("0.0001"), 0, "image")
    with pytest.raises(UserError) as caught:
        prep.run()
    assert caught.value.reason == "EmptyEvalSet"
    assert "spec.dataset.evalFraction 0.0001 of 40 images leaves no image" in caught.value.message
    assert "evalFraction" in caught.value.hint


def test_labels_of_a_whole_data_set_are_divided_too(prep: Preparation) -> None:
    prep.memory.objects = {f"train/{path}": data for path, data in {**images(), **SETS["coco"][1]()}.items()}
    prep.classes = CLASSES
    prep.split = SplitRule(Decimal("0.5"), 3, "image")
    made = prep.run()
    assert made.train_images + made.eval_images == 4
    assert made.eval_images > 0


def test_without_eval_everything_is_for_training(prep: Preparation) -> None:
    prep.split = None
    made = prep.run()
    assert (made.train_images, made.eval_images) == (40, 0)
    assert list(prep.document("report.json")["splits"]) == ["train"]
