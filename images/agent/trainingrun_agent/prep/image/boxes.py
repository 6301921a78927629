"""The box doctor: labels and image size reconciled, boxes repaired or dropped.

Invariant: every box that leaves lies within the image, has its corners in order and is at least one pixel
wide and high in the picture that will be trained; everything changed has a finding.
"""

from __future__ import annotations

from dataclasses import replace

from trainingrun_agent.prep.image.images import Header
from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.model.findings import Finding, info, warning

TRANSPOSING = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""
_REDRAW = "Draw the box again in the label tool."


def shown_size(head: Header, *, upright: bool) -> tuple[int, int]:
    """(width, height) in pixels of the image as stored, or as EXIF turns it."""
    stored = head.width, head.height
    return stored[::-1] if upright and head.orientation in TRANSPOSING else stored


def rotates(head: Header, annotation: Annotation) -> bool:
    """Whether the labels were drawn on the image as EXIF turns it. Raises UnusableError when no size fits."""
    stored, labelled = (head.width, head.height), (annotation.width, annotation.height)
    upright = shown_size(head, upright=True)
    if 0 in labelled or labelled == upright:
        return head.orientation != 1
    if labelled == stored:
        return False
    if labelled == stored[::-1]:
        raise UnusableError(
            "SizeTransposed",
            f"labelled at {labelled[0]} x {labelled[1]}, the image is {stored[0]} x {stored[1]} without EXIF rotation",
            hint="The image was turned after it was labelled: label it again.",
        )
    raise UnusableError(
        "SizeMismatch",
        f"labelled at {labelled[0]} x {labelled[1]}, the image is {stored[0]} x {stored[1]}",
        hint="The image was scaled after it was labelled: upload the labelled one, or label it again.",
    )


def size_findings(file: str, head: Header, annotation: Annotation) -> list[Finding]:
    """What is worth saying about sizes that fit."""
    found = []
    unsized = 0 in (annotation.width, annotation.height)
    if unsized and annotation.sized:
        found.append(
            info(
                "SizeMissing",
                file,
                seen="no usable <size>",
                done=f"took the image's own size, {head.width} x {head.height}",
                hint="The label tool could not read the image's header; nothing to do if the boxes look right.",
            )
        )
    square = head.width == head.height
    if head.orientation != 1 and (head.orientation not in TRANSPOSING or square or unsized):
        found.append(
            warning(
                "OrientationAmbiguous",
                file,
                seen=f"EXIF orientation {head.orientation}, and the labels fit both ways",
                done="turned the image upright, as label tools show it",
                hint="If the boxes are off, save the image upright without EXIF and label it again.",
            )
        )
    return found


def shape_findings(file: str, annotation: Annotation) -> list[Finding]:
    """What becomes of objects that are not plain boxes."""
    shapes = [item.shape for item in annotation.objects if item.shape]
    crowds = sum([item.crowd for item in annotation.objects])
    found = []
    if shapes:
        found.append(
            info(
                "ShapeBoxed",
                file,
                seen=f"{len(shapes)} objects are no upright boxes but {', '.join(sorted(set(shapes)))}",
                done="took the upright box around each",
                hint="Nothing to do where that box fits; turned or slanted objects get a loose one.",
            )
        )
    if crowds:
        found.append(
            info(
                "CrowdDropped",
                file,
                seen=f"{crowds} boxes around a crowd or group of objects",
                done="left them out: as single objects they would teach wrong sizes",
                hint="Label the objects one by one if they should be found.",
            )
        )
    return found


def repair(
    labelled: LabelledObject, *, file: str, width: int, height: int, scale: float, pixels: bool = True
) -> tuple[LabelledObject | None, list[Finding]]:
    """The box ordered and clipped to `width` x `height` pixels, None when nothing is left of it.

    `scale` is the picture's size over the labelled size; `pixels`: the format has pixels, no shares of the image.
    Raises UnusableError for coordinates that are no pixels.
    """
    corners = labelled.corners
    if pixels and 0 < max(corners) <= 1 and min(corners) >= 0 and min(width, height) > 1:
        raise UnusableError(
            "BoxNormalised",
            f"coordinates {_show(corners)} lie between 0 and 1",
            hint="The format wants pixels: multiply by width and height.",
            index=labelled.index,
        )
    least = 1 / scale - 1e-6
    xmin, ymin, xmax, ymax = corners
    if 0 <= xmin <= xmax - least and xmax <= width and 0 <= ymin <= ymax - least and ymax <= height:
        return labelled, []
    found = []
    box = _ordered(labelled)
    if box != labelled:
        found.append(_changed("BoxSwapped", file, labelled, done="swapped the corners"))
    clipped = _clipped(box, width, height)
    if _side(clipped) < least:
        code = "BoxDegenerate" if _side(box) < least else "BoxOutside"
        return None, [*found, _changed(code, file, labelled, done="dropped the box", size=(width, height))]
    if clipped != box:
        found.append(_changed("BoxClipped", file, labelled, done="clipped to the image", size=(width, height)))
    return clipped, found


def _side(box: LabelledObject) -> float:
    """The shorter side."""
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


def _changed(code: str, file: str, box: LabelledObject, *, done: str, size: tuple[int, int] | None = None) -> Finding:
    corners = _show(box.corners)
    within = f" in {size[0]} x {size[1]} pixels" if size else ""
    return warning(
        code,
        file,
        seen=f"{box.name!r} (xmin, ymin, xmax, ymax) = {corners}{within}",
        done=done,
        hint=_REDRAW,
        index=box.index,
    )


def _show(corners: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{corner:g}" for corner in corners) + ")"
