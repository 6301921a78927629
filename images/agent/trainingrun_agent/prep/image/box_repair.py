"""Compare labels with the image's size; repair or drop boxes.

Invariant: every box that is kept lies within the image, has its corners in order and is at least one pixel
wide and high in the picture that will be trained; everything changed has a finding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, NamedTuple

from trainingrun_agent.prep.image.images import Header
from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.boxes import (
    BOX_CLIPPED,
    BOX_DEGENERATE,
    BOX_NORMALISED,
    BOX_OUTSIDE,
    BOX_SWAPPED,
)
from trainingrun_agent.prep.model.codes.classes import CROWD_DROPPED, SHAPE_BOXED
from trainingrun_agent.prep.model.codes.image_files import (
    ORIENTATION_AMBIGUOUS,
    ORIENTATION_BY_BOXES,
    SIZE_MISMATCH,
    SIZE_MISSING,
    SIZE_TRANSPOSED,
)
from trainingrun_agent.prep.model.codes.kind import FindingKind
from trainingrun_agent.prep.model.findings import Finding

TRANSPOSING = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""
ROUNDED = 1
"""Pixels that a box may lie outside of an image that it fits: tools count them from 0 or 1, and round."""


def shown_size(head: Header, *, upright: bool) -> tuple[int, int]:
    """(width, height) in pixels: of the image as stored, or with `upright` after EXIF rotation."""
    stored = head.width, head.height
    return stored[::-1] if upright and head.orientation in TRANSPOSING else stored


class Rotation(NamedTuple):
    """Whether labels were drawn on the image after EXIF rotation, and what that was decided by.

    `by` is a case of a finding: "boxes" decided, or nothing did; empty where sizes decide or there is nothing to.
    """

    upright: bool
    by: Literal["", "boxes", "same", "relative", "both", "neither"] = ""


def rotation(head: Header, annotation: Annotation) -> Rotation:
    """How the image has to be turned for its labels. Raises UnusableError if their size fits it neither way."""
    stored, labelled = (head.width, head.height), (annotation.width, annotation.height)
    upright, unsized = shown_size(head, upright=True), 0 in labelled
    if not unsized and labelled not in (stored, upright):
        kind = SIZE_TRANSPOSED if labelled == stored[::-1] else SIZE_MISMATCH
        raise UnusableError(kind, labelled=labelled, image=stored)
    if head.orientation == 1:
        return Rotation(upright=False)
    if not unsized and stored != upright:
        return Rotation(labelled == upright)
    if not annotation.objects:
        return Rotation(upright=True)
    if stored == upright:
        return Rotation(upright=True, by="same")
    if annotation.relative:
        return Rotation(upright=True, by="relative")
    fits_upright, fits_stored = _fit(annotation, upright), _fit(annotation, stored)
    if fits_upright != fits_stored:
        return Rotation(fits_upright, by="boxes")
    return Rotation(upright=True, by="both" if fits_upright else "neither")


def _fit(annotation: Annotation, size: tuple[int, int]) -> bool:
    width, height = size[0] + ROUNDED, size[1] + ROUNDED
    return all(
        min(item.corners) >= -ROUNDED and max(item.xmin, item.xmax) <= width and max(item.ymin, item.ymax) <= height
        for item in annotation.objects
    )


def size_findings(file: str, head: Header, annotation: Annotation, turned: Rotation) -> list[Finding]:
    """Findings about sizes that are missing, and about an EXIF rotation that the sizes do not decide."""
    found = []
    if 0 in (annotation.width, annotation.height) and annotation.sized:
        found.append(Finding(SIZE_MISSING, file))
    if turned.by == "boxes":
        case = "upright" if turned.upright else "stored"
        found.append(Finding(ORIENTATION_BY_BOXES, file, {"case": case, "orientation": head.orientation}))
    elif turned.by:
        found.append(Finding(ORIENTATION_AMBIGUOUS, file, {"case": turned.by, "orientation": head.orientation}))
    return found


def shape_findings(file: str, annotation: Annotation) -> list[Finding]:
    """Findings about objects that are not upright boxes around one object."""
    shapes = [item.shape for item in annotation.objects if item.shape]
    crowds = sum([item.crowd for item in annotation.objects])
    found = []
    if shapes:
        found.append(Finding(SHAPE_BOXED, file, {"count": len(shapes), "shapes": sorted(set(shapes))}))
    if crowds:
        found.append(Finding(CROWD_DROPPED, file, {"count": crowds}))
    return found


def all_fit(boxes: Iterable[LabelledObject], *, width: int, height: int, scale: float) -> bool:
    """Whether `repair` would leave all boxes as they are, as for nearly all images; a box of one pixel may say no."""
    least = _least_side(scale)
    for box in boxes:
        if not (0 <= box.xmin <= box.xmax - least and 1 < box.xmax <= width):
            return False
        if not (0 <= box.ymin <= box.ymax - least and box.ymax <= height):
            return False
    return True


def repair(
    labelled: LabelledObject, *, file: str, width: int, height: int, scale: float, pixels: bool = True
) -> tuple[LabelledObject | None, list[Finding]]:
    """Order the corners and clip the box to `width` x `height` pixels; None if nothing is left of it.

    `scale` is the picture's size over the labelled size; `pixels`: the format has pixels, no shares of the image.
    Raises UnusableError for coordinates that are no pixels.
    """
    corners = labelled.corners
    if pixels and 0 < max(corners) <= 1 and min(corners) >= 0 and min(width, height) > 1:
        raise UnusableError(BOX_NORMALISED, corners=corners, index=labelled.index)
    least = _least_side(scale)
    xmin, ymin, xmax, ymax = corners
    if 0 <= xmin <= xmax - least and xmax <= width and 0 <= ymin <= ymax - least and ymax <= height:
        return labelled, []
    found = []
    box = _ordered(labelled)
    if box != labelled:
        found.append(_changed(BOX_SWAPPED, file, labelled, size=(width, height)))
    clipped = _clipped(box, width, height)
    if _shorter_side(clipped) < least:
        kind = BOX_DEGENERATE if _shorter_side(box) < least else BOX_OUTSIDE
        return None, [*found, _changed(kind, file, labelled, size=(width, height))]
    if clipped != box:
        found.append(_changed(BOX_CLIPPED, file, labelled, size=(width, height)))
    return clipped, found


def _least_side(scale: float) -> float:
    """The shortest side, in pixels as labelled, that is a pixel of the picture; rounding may take off a little."""
    return 1 / scale - 1e-6


def _shorter_side(box: LabelledObject) -> float:
    return min(box.xmax - box.xmin, box.ymax - box.ymin)


def _ordered(box: LabelledObject) -> LabelledObject:
    (xmin, xmax), (ymin, ymax) = sorted((box.xmin, box.xmax)), sorted((box.ymin, box.ymax))
    return replace(box, xmin=xmin, xmax=xmax, ymin=ymin, ymax=ymax)


def _clipped(box: LabelledObject, width: int, height: int) -> LabelledObject:
    return replace(
        box,
        xmin=min(max(box.xmin, 0.0), float(width)),
        xmax=min(max(box.xmax, 0.0), float(width)),
        ymin=min(max(box.ymin, 0.0), float(height)),
        ymax=min(max(box.ymax, 0.0), float(height)),
    )


def _changed(kind: FindingKind, file: str, box: LabelledObject, *, size: tuple[int, int]) -> Finding:
    return Finding(kind, file, {"name": box.name, "corners": box.corners, "image": size}, box.index)
