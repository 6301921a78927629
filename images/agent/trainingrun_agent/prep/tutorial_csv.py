"""The tutorial's CSV: one line per box, beside the records.

Invariant: header and columns are exactly those of xml_to_csv; images without boxes have no line.
"""

from __future__ import annotations

import csv
from typing import BinaryIO, TextIO

from trainingrun_agent.prep.check import Checked

HEADER = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")


def write_header(file: BinaryIO) -> None:
    """The first line."""
    file.write(",".join(HEADER).encode() + b"\n")


class TutorialCSV:
    """Writes lines to a text file opened with newline=''."""

    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(file, lineterminator="\n")

    def add(self, checked: Checked) -> None:
        """Boxes as repaired, in pixels of the image as it was labelled."""
        path, (width, height) = checked.path, checked.size
        self._writer.writerows([(path, width, height, box.name, *map(_shortest, box.corners)) for box in checked.boxes])


def _shortest(corner: float) -> float | int:
    return int(corner) if corner.is_integer() else corner
