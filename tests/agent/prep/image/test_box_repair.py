"""Boxes and sizes: repaired or dropped with a finding, or the file is refused."""

from __future__ import annotations

import pytest

from trainingrun_agent.prep.image import box_repair
from trainingrun_agent.prep.image.images import Header
from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.terms import TRAININGRUN
from voc_data import HEIGHT, WIDTH, Box

REPAIRED: dict[str, tuple[Box, Box | None, list[str]]] = {
    "inside": ((10, 20, 60, 80), (10, 20, 60, 80), []),
    "the whole image": ((0, 0, 160, 120), (0, 0, 160, 120), []),
    "one pixel": ((10, 20, 11, 21), (10, 20, 11, 21), []),
    "right of the image by 5 %": ((10, 20, 168, 80), (10, 20, 160, 80), ["BoxClipped"]),
    "negative corner": ((-5, -1, 60, 80), (0, 0, 60, 80), ["BoxClipped"]),
    "half outside": ((100, 20, 240, 80), (100, 20, 160, 80), ["BoxClipped"]),
    "wholly outside": ((200, 20, 240, 80), None, ["BoxOutside"]),
    "outside on the left": ((-50, 20, -10, 80), None, ["BoxOutside"]),
    "x swapped": ((60, 20, 10, 80), (10, 20, 60, 80), ["BoxSwapped"]),
    "both swapped and clipped": ((60, 180, 10, 20), (10, 20, 60, 120), ["BoxSwapped", "BoxClipped"]),
    "zero width": ((10, 20, 10, 80), None, ["BoxDegenerate"]),
    "zero area": ((10, 20, 10, 20), None, ["BoxDegenerate"]),
    "a tenth of a pixel wide": ((10, 20, 10.1, 80), None, ["BoxDegenerate"]),
    "all zero": ((0, 0, 0, 0), None, ["BoxDegenerate"]),
}


def repair(box: Box, scale: float = 1.0) -> tuple[Box | None, list[str]]:
    item = LabelledObject(7, "tire", *box)
    made, found = box_repair.repair(item, file="a.xml", width=WIDTH, height=HEIGHT, scale=scale)
    assert all((finding.file, finding.index) == ("a.xml", 7) for finding in found)
    codes = [finding.code for finding in found]
    return (None if made is None else (made.xmin, made.ymin, made.xmax, made.ymax)), codes


@pytest.mark.parametrize(("box", "expected", "codes"), REPAIRED.values(), ids=REPAIRED)
def test_repairs(box: Box, expected: Box | None, codes: list[str]) -> None:
    assert repair(box) == (expected, codes)


def test_boxes_that_vanish_when_the_image_is_scaled_down_are_dropped() -> None:
    assert repair((10, 20, 13, 80), scale=0.5)[1] == []
    assert repair((10, 20, 11, 80), scale=0.5)[1] == ["BoxDegenerate"]


def test_normalised_coordinates_are_refused() -> None:
    with pytest.raises(UnusableError, match="lie between 0 and 1") as caught:
        repair((0.1, 0.2, 0.5, 0.9))
    assert (caught.value.code, caught.value.index) == ("BoxNormalised", 7)


ROTATES = {
    "same size": ((160, 120), 1, (160, 120), False),
    "no size": ((160, 120), 1, (0, 0), False),
    "labelled upright": ((160, 120), 6, (120, 160), True),
    "labelled as stored": ((160, 120), 6, (160, 120), False),
    "no size, rotated": ((160, 120), 6, (0, 0), True),
    "upside down": ((160, 120), 3, (160, 120), True),
    "square, rotated": ((100, 100), 8, (100, 100), True),
}


def header(size: tuple[int, int], orientation: int) -> Header:
    return Header("JPEG", "RGB", *size, orientation, progressive=False, animated=False)


@pytest.mark.parametrize(("stored", "orientation", "labelled", "expected"), ROTATES.values(), ids=ROTATES)
def test_rotation_follows_the_labels(
    stored: tuple[int, int], orientation: int, labelled: tuple[int, int], expected: bool
) -> None:
    assert box_repair.rotation(header(stored, orientation), Annotation("", *labelled, ())).upright is expected


UPRIGHT, STORED = (True, "OrientationByBoxes"), (False, "OrientationByBoxes")
UNCLEAR = (True, "OrientationAmbiguous")
DECIDED: dict[str, tuple[Box, int, tuple[bool, str]]] = {
    "right of the rotated image": ((10, 20, 150, 80), 6, STORED),
    "right of it by the last pixel that counts": ((10, 20, 122, 80), 6, STORED),
    "below the image as stored": ((10, 20, 60, 150), 6, UPRIGHT),
    "below it, with its corners swapped": ((60, 150, 10, 20), 8, UPRIGHT),
    "within both": ((10, 20, 60, 80), 6, UNCLEAR),
    "within both but for rounding": ((10, 20, 121, 80), 6, UNCLEAR),
    "outside of both": ((10, 20, 150, 150), 6, UNCLEAR),
    "left of both": ((-9, 20, 60, 150), 6, UNCLEAR),
    "upside down, which boxes do not tell": ((10, 20, 150, 80), 3, UNCLEAR),
}


def decided(annotation: Annotation, orientation: int) -> tuple[bool, str]:
    head = header((160, 120), orientation)
    turned = box_repair.rotation(head, annotation)
    found = box_repair.size_findings("a.xml", head, annotation, turned)
    return turned.upright, ", ".join(finding.code for finding in found)


@pytest.mark.parametrize(("box", "orientation", "expected"), DECIDED.values(), ids=DECIDED)
def test_without_a_size_the_boxes_decide_the_rotation(box: Box, orientation: int, expected: tuple[bool, str]) -> None:
    fits = LabelledObject(0, "tire", 10, 10, 20, 20)
    unsized = Annotation("", 0, 0, (fits, LabelledObject(1, "tire", *box)), sized=False)
    assert decided(unsized, orientation) == expected


def test_a_size_decides_before_boxes_and_nothing_has_to_be_decided_without_boxes() -> None:
    wide = (LabelledObject(0, "tire", 10, 20, 150, 80),)
    assert decided(Annotation("", 120, 160, wide), 6) == (True, "")
    assert decided(Annotation("", 160, 120, wide), 6) == (False, "")
    assert decided(Annotation("", 0, 0, (), sized=False), 6) == (True, "")


def test_parts_of_the_size_do_not_tell_the_rotation() -> None:
    share = (LabelledObject(0, "tire", 0.1, 0.2, 0.9, 0.8),)
    annotation = Annotation("", 0, 0, share, relative=True, sized=False)
    turned = box_repair.rotation(header((160, 120), 6), annotation)
    [found] = box_repair.size_findings("a.txt", header((160, 120), 6), annotation, turned)
    assert found.seen(TRAININGRUN).endswith("labels in parts of the image's size fit it rotated and unrotated")


@pytest.mark.parametrize(
    ("labelled", "code"),
    [((120, 160), "SizeTransposed"), ((320, 240), "SizeMismatch"), ((159, 120), "SizeMismatch")],
    ids=["transposed", "twice", "one pixel off"],
)
def test_sizes_that_fit_in_neither_orientation_are_refused(labelled: tuple[int, int], code: str) -> None:
    with pytest.raises(UnusableError) as caught:
        box_repair.rotation(header((160, 120), 1), Annotation("", *labelled, ()))
    assert caught.value.code == code
