"""Duplicate images: each is reported once, whichever split it is in, and kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from prep_in_memory import Preparation, seen
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
        [("DuplicateAcrossSplits", "eval", "y.jpg")],
    ),
    "near duplicate in both splits": (
        lambda prep: prep.add("y", ALIKE, split="eval"),
        [("NearDuplicateAcrossSplits", "eval", "y.jpg")],
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
    [finding] = prep.document("report.json")["findings"]
    assert finding["fields"] == {"case": "otherBoxes", "otherSplit": "train", "other": "x.jpg"}
    assert seen(finding) == "byte-identical to train/x.jpg, but with different boxes"
    assert finding["severity"] == "warning"


def test_flat_images_are_no_near_duplicates(prep: Preparation) -> None:
    for number in range(3):
        for split in ("train", "eval"):
            flat = encoded(picture(seed=f"{split}{number}").point(lambda value: 120 + value // 64))
            prep.add(f"flat {number}", flat, split=split)
    prep.run()
    assert prep.codes() == {}
