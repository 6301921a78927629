"""The tutorial's CSV: one line per box, beside the records.

Invariant: header and columns are exactly those of xml_to_csv; images without boxes have no line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import BinaryIO

from trainingrun_agent.prep.model.annotation import LabelledObject

_SPECIAL = re.compile('[,"\r\n]').search
HEADER = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")


def write_header(file: BinaryIO) -> None:
    """The first line."""
    file.write(",".join(HEADER).encode() + b"\n")


def box_cells(boxes: Sequence[LabelledObject]) -> list[str]:
    """Class and corners of each box, in pixels of the image as it was labelled: the end of its line."""
    corners = [corner for box in boxes for corner in box.corners]
    whole: list[float] = list(map(int, corners))
    shortest = iter(whole if whole == corners else map(_shortest, corners))
    return [
        f"{_cell(box.name)},{xmin},{ymin},{xmax},{ymax}\n"
        for box, xmin, ymin, xmax, ymax in zip(boxes, shortest, shortest, shortest, shortest, strict=True)
    ]


def lines(path: str, size: tuple[int, int], cells: Sequence[str]) -> str:
    """The lines of an image from those of its boxes."""
    front = f"{_cell(path)},{size[0]},{size[1]},"
    return "".join([front + end for end in cells])


def _cell(text: str) -> str:
    """In quotes where it needs them (RFC 4180)."""
    return '"' + text.replace('"', '""') + '"' if _SPECIAL(text) else text


def _shortest(corner: float) -> float | int:
    return int(corner) if corner.is_integer() else corner
