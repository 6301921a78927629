"""COCO annotations without a box: the upright box around their polygons or masks."""

from __future__ import annotations

import random
from typing import Any

import pytest

from label_reading import Corners
from label_samples import A, coco, read
from trainingrun_agent.prep.model.annotation import Annotation

Mask = list[list[int]]


def runs_of(mask: Mask) -> list[int]:
    """Runs of equal pixels, column by column, beginning with background."""
    pixels = [mask[y][x] for x in range(len(mask[0])) for y in range(len(mask))]
    runs, value = [0], 0
    for pixel in pixels:
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs


def packed(runs: list[int]) -> str:
    """Runs as pycocotools writes them: differences in digits of five bits, with a bit for 'more follows'."""
    text = ""
    for at, run in enumerate(runs):
        value = run - (runs[at - 2] if at > 2 else 0)
        more = True
        while more:
            digit = value & 31
            value >>= 5
            more = value != (-1 if digit & 16 else 0)
            text += chr(48 + (digit | (32 if more else 0)))
    return text


def box_of(mask: Mask) -> Corners:
    xs = [x for row in mask for x, pixel in enumerate(row) if pixel]
    ys = [y for y, row in enumerate(mask) for pixel in row if pixel]
    return min(xs), min(ys), max(xs) + 1, max(ys) + 1


def rle(counts: Any, width: int = 128, height: int = 64) -> dict[str, Any]:
    return {"segmentation": {"size": [height, width], "counts": counts}}


def drawn(annotation: dict[str, Any]) -> tuple[Corners, str]:
    made = read("coco", coco(annotation)).images[A]
    assert isinstance(made, Annotation), made
    [item] = made.objects
    return item.corners, item.shape


POLYGON = [[10, 20, 60, 30, 30, 40]]
BOX: Corners = (10, 20, 60, 40)
READ: dict[str, tuple[dict[str, Any], Corners, str]] = {
    "a polygon": ({"segmentation": POLYGON}, BOX, "polygon"),
    "a polygon and an empty box": ({"segmentation": POLYGON, "bbox": []}, BOX, "polygon"),
    "a polygon and a box of zeros": ({"segmentation": POLYGON, "bbox": [0, 0, 0, 0.0]}, BOX, "polygon"),
    "a polygon and no box": ({"segmentation": POLYGON, "bbox": None}, BOX, "polygon"),
    "an object in two parts": ({"segmentation": [[10, 20, 20, 20, 20, 30], [50, 30, 60, 30, 60, 40]]}, BOX, "polygon"),
    "a polygon that is not in a list": ({"segmentation": POLYGON[0]}, BOX, "polygon"),
    "a polygon of points": ({"segmentation": [[10, 20], [60, 30], [30, 40]]}, BOX, "polygon"),
    "a box counts more than a polygon": ({"segmentation": POLYGON, "bbox": [1, 2, 3, 4]}, (1, 2, 4, 6), ""),
    "runs in one column": (rle([64 * 10 + 20, 5]), (10, 20, 11, 25), "mask"),
    "runs in several columns": (rle([64 * 10 + 20, 5, 64, 5]), (10, 20, 12, 30), "mask"),
    "a run over columns": (rle([64 * 10 + 20, 64]), (10, 0, 12, 64), "mask"),
    "all of the image": (rle([0, 128 * 64]), (0, 0, 128, 64), "mask"),
}


CVAT = {"bbox": [30, 30, 40, 20], "segmentation": []}
OF_CVAT: dict[str, tuple[dict[str, Any], Corners, str]] = {
    "a quarter": ({**CVAT, "attributes": {"occluded": False, "rotation": 90.0}}, (40, 20, 60, 60), "turned box"),
    "not turned": ({**CVAT, "attributes": {"occluded": False, "rotation": 0.0}}, (30, 30, 70, 50), ""),
    "of another tool": ({**CVAT, "attributes": {"rotation": 90.0}}, (30, 30, 70, 50), ""),
    "a word": ({**CVAT, "attributes": {"occluded": False, "rotation": "left"}}, (30, 30, 70, 50), ""),
    "a number too large": ({**CVAT, "attributes": {"occluded": False, "rotation": 10**400}}, (30, 30, 70, 50), ""),
}


@pytest.mark.parametrize(("annotation", "corners", "shape"), OF_CVAT.values(), ids=OF_CVAT)
def test_a_box_that_cvat_turned_is_not_read_as_upright(
    annotation: dict[str, Any], corners: Corners, shape: str
) -> None:
    assert drawn(annotation) == (pytest.approx(corners), shape)


@pytest.mark.parametrize(("annotation", "corners", "shape"), READ.values(), ids=READ)
def test_reads(annotation: dict[str, Any], corners: Corners, shape: str) -> None:
    assert drawn(annotation) == (corners, shape)


OF_PYCOCOTOOLS = {
    "a rectangle": (";230004", (6, 5), (2, 1, 5, 3)),
    "an ellipse": ("aV17h12N2N2N2O0O2O00000000000000000001N101N2N2N2N`[5", (128, 64), (19, 12, 42, 29)),
}
"""Counts that `pycocotools.mask.encode` gave, and the box of `toBbox`."""


@pytest.mark.parametrize(("counts", "size", "corners"), OF_PYCOCOTOOLS.values(), ids=OF_PYCOCOTOOLS)
def test_reads_what_pycocotools_writes(counts: str, size: tuple[int, int], corners: Corners) -> None:
    assert drawn(rle(counts, *size)) == (corners, "mask")


@pytest.mark.parametrize("seed", range(5))
def test_any_mask_gives_the_box_of_its_pixels(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    width, height = chance.randint(1, 60), chance.randint(1, 60)
    mask = [[int(chance.random() < 0.02) for _ in range(width)] for _ in range(height)]
    mask[chance.randrange(height)][chance.randrange(width)] = 1
    for counts in (runs_of(mask), packed(runs_of(mask))):
        assert drawn(rle(counts, width, height)) == (box_of(mask), "mask")


UNREAD: dict[str, tuple[dict[str, Any], str]] = {
    "keypoints alone": ({"keypoints": [10, 20, 2], "num_keypoints": 1}, "BoxMissing"),
    "an empty segmentation": ({"segmentation": []}, "BoxMissing"),
    "a polygon of one point": ({"segmentation": [[1, 2]]}, "BoxMissing"),
    "an odd number": ({"segmentation": [[1, 2, 3]]}, "BoxMissing"),
    "points in points": ({"segmentation": [[[1, 2], [3, 4]]]}, "BoxNotANumber"),
    "a word": ({"segmentation": [[1, "x", 3, 4]]}, "BoxNotANumber"),
    "infinite": ({"segmentation": [[1, float("inf"), 3, 4]]}, "BoxNotFinite"),
    "no pixels": (rle([128 * 64]), "BoxMissing"),
    "more pixels than the image has": (rle([0, 128 * 64 + 1]), "BoxMissing"),
    "a negative run": (rle([5, -1]), "BoxMissing"),
    "a run that is a text": (rle(["5", 3]), "BoxMissing"),
    "a run that is a part": (rle([5, 1.5]), "BoxMissing"),
    "no counts": (rle(None), "BoxMissing"),
    "no size": ({"segmentation": {"counts": [1, 2]}}, "BoxMissing"),
    "a size of one side": ({"segmentation": {"size": [64], "counts": [1, 2]}}, "BoxMissing"),
    "a size that is none": ({"segmentation": {"size": [-1, "x"], "counts": [1, 2]}}, "BoxMissing"),
    "an image of 10^12 pixels": (rle([0, 5], 10**6, 10**6), "BoxMissing"),
    "characters that are none": (rle("\x00\u20ac"), "BoxMissing"),
    "a number without end": (rle("o" * 100), "BoxMissing"),
    "a compressed negative run": (rle("@"), "BoxMissing"),
}


@pytest.mark.parametrize(("annotation", "code"), UNREAD.values(), ids=UNREAD)
def test_names_the_defect(annotation: dict[str, Any], code: str) -> None:
    assert read("coco", coco({"bbox": [1, 2, 3, 4]}, annotation)).defect(A) == (code, 1)


def test_ids_from_zero_and_supercategories() -> None:
    categories = [
        {"id": 0, "name": "tire", "supercategory": "part"},
        {"id": 1, "name": "part", "supercategory": "none"},
    ]
    made = read("coco", coco({"bbox": [10, 20, 50, 20], "category_id": 0}, categories=categories))
    assert made.boxes(A) == [("tire", BOX)]
