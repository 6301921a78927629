"""CSV of all boxes, written beside the records: one line per box.

Invariant: header and columns are exactly those of the tutorial's xml_to_csv; images without boxes have no line.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

from trainingrun_agent.prep.model.annotation import LabelledObject

_SPECIAL = re.compile('[,"\r\n]').search
HEADER = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")


def write_header(file: BinaryIO) -> None:
    """Write the line with the names of the columns."""
    file.write(",".join(HEADER).encode() + b"\n")


def box_cells(boxes: Sequence[LabelledObject]) -> list[str]:
    """The end of each box's line: class and corners, in pixels of the image as it was labelled."""
    text = _shortest
    return [f"{_cell(box.name)},{text(box.xmin)},{text(box.ymin)},{text(box.xmax)},{text(box.ymax)}\n" for box in boxes]


def lines(path: str, size: tuple[int, int], cells: Sequence[str]) -> str:
    """The lines of an image, from the cells of its boxes."""
    start = f"{_cell(path)},{size[0]},{size[1]},"
    return "".join([start + end for end in cells])


def boxes_by_image(path: Path) -> Iterator[tuple[str, Counter[str]]]:
    """The images in a file of boxes, each with its boxes by class."""
    with path.open(newline="", encoding="utf-8") as file:
        for image, rows in groupby(csv.DictReader(file), itemgetter("filename")):
            yield image, Counter(row["class"] for row in rows)


def _cell(text: str) -> str:
    """Quote a text if needed (RFC 4180)."""
    return '"' + text.replace('"', '""') + '"' if _SPECIAL(text) else text


@lru_cache(1 << 12)  # corners repeat: they are mostly whole pixels
def _shortest(corner: float) -> str:
    whole = int(corner)
    return str(whole if whole == corner else corner)
