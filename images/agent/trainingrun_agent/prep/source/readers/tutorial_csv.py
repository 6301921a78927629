"""Reader of the tutorial's CSV: one line per box, columns filename,width,height,class,xmin,ymin,xmax,ymax.

Invariant: cells stay text until they are checked, so a class 'NA' or a file '0001' is what it says. A row with a
filename and no box at all is an image without objects.
"""

from __future__ import annotations

from typing import BinaryIO

from trainingrun_agent.prep.model.annotation import LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.label_files import IMAGE_NAME_MISSING
from trainingrun_agent.prep.source.readers.base import Context, Entries, SetFormat
from trainingrun_agent.prep.source.readers.table import Table, header_has
from trainingrun_agent.prep.source.readers.values import boxed, number, pixels

COLUMNS = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
_CORNERS = COLUMNS[4:]


def index(file: BinaryIO, entries: Entries, context: Context) -> None:  # noqa: ARG001 - names stand in the file
    """Read a label file into the index."""
    with Table(file, COLUMNS) as table:
        for line, cells in table:
            name = table.cell(cells, "filename")
            if not name:
                entries.stray(UnusableError(IMAGE_NAME_MISSING, where=f"line {line}"))
                continue
            width, height = pixels(table.cell(cells, "width")), pixels(table.cell(cells, "height"))
            entries.image(name, name, width=width, height=height)
            entries.object(name, f"line {line}", _object, table, cells)


def _object(table: Table, cells: list[str]) -> LabelledObject | None:
    texts = [table.cell(cells, corner) for corner in _CORNERS]
    kind = table.cell(cells, "class")
    if not kind and not any(texts):
        return None
    xmin, ymin, xmax, ymax = (number(text, corner) for text, corner in zip(texts, _CORNERS, strict=True))
    return boxed(kind, (xmin, ymin, xmax, ymax))


FORMAT = SetFormat("tutorialCSV", (".csv",), index, lambda head: header_has(head, COLUMNS))
