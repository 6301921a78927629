"""Images that are there twice: told once each, wherever they are, and kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from prep_lab import Lab, seen
from voc_data import encoded, jpeg, labelled, picture, voc

OTHER = voc([labelled(box=(1, 2, 90, 100))])
ALIKE = encoded(picture(seed="x"), quality=40)
CASES: dict[str, tuple[Callable[[Lab], object], list[tuple[str, str, str]]]] = {
    "nothing twice": (lambda _: None, []),
    "twice in train": (lambda lab: lab.add("y", jpeg(seed="x")), [("DuplicateImage", "train", "y.jpg")]),
    "three times": (
        lambda lab: (lab.add("y", jpeg(seed="x")), lab.add("z", jpeg(seed="x"))),
        [("DuplicateImage", "train", "y.jpg"), ("DuplicateImage", "train", "z.jpg")],
    ),
    "with other boxes": (
        lambda lab: lab.add("a", jpeg(seed="x"), OTHER),
        [("DuplicateContradicts", "train", "x.jpg")],
    ),
    "on both sides": (
        lambda lab: lab.add("y", jpeg(seed="x"), split="eval"),
        [("DuplicateAcrossSplits", "eval", "y.jpg")],
    ),
    "nearly, on both sides": (
        lambda lab: lab.add("y", ALIKE, split="eval"),
        [("NearDuplicateAcrossSplits", "eval", "y.jpg")],
    ),
    "nearly, on one side": (lambda lab: lab.add("y", ALIKE), []),
    "a bad file does not count": (
        lambda lab: (lab.add("y", jpeg(seed="x"), voc([labelled("zebra")])), setattr(lab, "max_bad_files", "1")),
        [("UnknownClass", "train", "y.xml")],
    ),
}


@pytest.mark.parametrize(("change", "expected"), CASES.values(), ids=CASES)
def test_duplicates(lab: Lab, change: Callable[[Lab], object], expected: list[tuple[str, str, str]]) -> None:
    lab.add("x", jpeg(seed="x"))
    change(lab)
    lab.run()
    report = lab.document("report.json")
    assert [(item["code"], item["split"], item["file"]) for item in report["findings"]] == expected


def test_what_a_duplicate_is_of_is_said(lab: Lab) -> None:
    lab.add("x", jpeg(seed="x"))
    lab.add("y", jpeg(seed="x"), OTHER, split="eval")
    lab.run()
    [finding] = lab.document("report.json")["findings"]
    assert finding["fields"] == {"case": "otherBoxes", "otherSplit": "train", "other": "x.jpg"}
    assert seen(finding) == "byte-identical to train/x.jpg, but with different boxes"
    assert finding["severity"] == "warning"


def test_flat_images_are_no_look_alikes(lab: Lab) -> None:
    for number in range(3):
        for split in ("train", "eval"):
            flat = encoded(picture(seed=f"{split}{number}").point(lambda value: 120 + value // 64))
            lab.add(f"flat {number}", flat, split=split)
    lab.run()
    assert lab.codes() == {}
