"""Duplicate images: each is reported once, whichever split it is in, and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from prep_in_memory import BUCKET, Preparation, seen
from trainingrun_agent.config import Source
from voc_data import encoded, jpeg, labelled, picture, voc

OTHER = voc([labelled(box=(1, 2, 90, 100))])
ALIKE = encoded(picture(seed="x"), quality=40)
CASES: dict[str, tuple[Callable[[Preparation], object], list[tuple[str, str, str]]]] = {
    "nothing twice": (lambda _: None, []),
    "twice in train": (lambda prep: prep.add("y", jpeg(seed="x")), [("DuplicateImage", "train", "y.jpg")]),
    "three times": (
        lambda prep: (prep.add("y", jpeg(seed="x")), prep.add("z", jpeg(seed="x"))),
        [("DuplicateImage", "train", "y.jpg"), ("DuplicateImage", "train", "z.jpg")],
    ),
    "with other boxes": (
        lambda prep: prep.add("a", jpeg(seed="x"), OTHER),
        [("DuplicateContradicts", "train", "x.jpg")],
    ),
    "in both splits": (
        lambda prep: prep.add("y", jpeg(seed="x"), split="eval"),
        [("EvalImagesInTrain", "eval", ""), ("DuplicateAcrossSplits", "eval", "y.jpg")],
    ),
    "near duplicate in both splits": (
        lambda prep: prep.add("y", ALIKE, split="eval"),
        [("EvalImagesInTrain", "eval", ""), ("NearDuplicateAcrossSplits", "eval", "y.jpg")],
    ),
    "near duplicate in one split": (lambda prep: prep.add("y", ALIKE), []),
    "a bad file does not count": (
        lambda prep: (prep.add("y", jpeg(seed="x"), voc([labelled("zebra")])), setattr(prep, "max_bad_files", "1")),
        [("UnknownClass", "train", "y.xml")],
    ),
}


@pytest.mark.parametrize(("change", "expected"), CASES.values(), ids=CASES)
def test_duplicates(
    prep: Preparation, change: Callable[[Preparation], object], expected: list[tuple[str, str, str]]
) -> None:
    prep.add("x", jpeg(seed="x"))
    change(prep)
    prep.run()
    report = prep.document("report.json")
    assert [(item["code"], item["split"], item["file"]) for item in report["findings"]] == expected


def test_a_duplicate_names_the_other_image(prep: Preparation) -> None:
    prep.add("x", jpeg(seed="x"))
    prep.add("y", jpeg(seed="x"), OTHER, split="eval")
    prep.run()
    [_, finding] = prep.document("report.json")["findings"]
    assert finding["fields"] == {"case": "otherBoxes", "otherSplit": "train", "other": "x.jpg"}
    assert seen(finding) == "byte-identical to train/x.jpg, but with different boxes"
    assert finding["severity"] == "warning"


def test_images_in_both_splits_are_counted_before_any_lesser_warning(
    prep: Preparation, contract: Callable[[str, Any], None]
) -> None:
    prep.memory.objects.clear()
    for number in range(9):
        prep.add(f"{number}", jpeg(seed=f"{number}"), voc([labelled(box=(-5, 1, 50, 60))]))
        prep.add(f"{number}", jpeg(seed=f"{number}"), split="eval")
    prep.add("like", encoded(picture(seed="0"), quality=40), split="eval")
    prep.add("other", split="eval")
    made = prep.run()
    contract("report", prep.document("report.json"))
    assert made.numbers["topFindings"][0] == (
        "eval: EvalImagesInTrain: 9 of 11 images for evaluation are training images; 1 more look like one"
    )
    assert (made.numbers["evalImagesInTrain"], made.numbers["evalImagesLikeTrain"]) == (9, 1)
    assert prep.run().numbers["evalImagesInTrain"] == 9, "the data set is there already"


def test_images_in_one_split_are_not_counted(prep: Preparation) -> None:
    assert not {"evalImagesInTrain", "evalImagesLikeTrain"} & prep.run().numbers.keys()


@pytest.mark.parametrize(("train", "evaluation", "inner"), [("a/", "a/val/", "eval"), ("a/val/", "a/", "train")])
def test_a_folder_inside_the_other_is_named(prep: Preparation, train: str, evaluation: str, inner: str) -> None:
    prep.memory.objects.clear()
    prep.train, prep.eval = Source(BUCKET, train), Source(BUCKET, evaluation)
    prep.add("t", split="a")
    prep.add("v", split="a/val")
    prep.run()
    [finding] = [one for one in prep.document("report.json")["findings"] if one["code"] == "EvalImagesInTrain"]
    outer = {"eval": "train", "train": "eval"}[inner]
    assert f"the folder of spec.dataset.{inner}.uri is inside that of spec.dataset.{outer}.uri" in seen(finding)


def test_neighbours_with_one_beginning_are_not_inside_each_other(prep: Preparation) -> None:
    prep.memory.objects.clear()
    prep.train, prep.eval = Source(BUCKET, "a/"), Source(BUCKET, "ab/")
    for folder in ("a", "ab"):
        prep.add("x", jpeg(seed="x"), split=folder)
    prep.run()
    [finding] = [one for one in prep.document("report.json")["findings"] if one["code"] == "EvalImagesInTrain"]
    assert seen(finding) == "1 of 1 image for evaluation are training images; 0 more look like one"


def test_flat_images_are_no_near_duplicates(prep: Preparation) -> None:
    for number in range(3):
        for split in ("train", "eval"):
            flat = encoded(picture(seed=f"{split}{number}").point(lambda value: 120 + value // 64))
            prep.add(f"flat {number}", flat, split=split)
    prep.run()
    assert prep.codes() == {}
