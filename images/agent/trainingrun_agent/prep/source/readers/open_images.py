"""Reader of Open Images CSV: relative coordinates in the order XMin,XMax,YMin,YMax, images by id without suffix.

Invariant: classes are the ids in LabelName (/m/0k4j) unless a class description file beside gives their names;
rows of images that were not uploaded are skipped, because the published files list millions.
"""

from __future__ import annotations

import csv
import io
from typing import BinaryIO

from trainingrun_agent.prep.model.annotation import LabelledObject
from trainingrun_agent.prep.source.readers.base import Context, Entries, SetFormat
from trainingrun_agent.prep.source.readers.table import MAX_LINE, Table, header_has
from trainingrun_agent.prep.source.readers.values import boxed, clean, encoding_of, label, number, text_of

COLUMNS = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax")
_CORNERS = ("XMin", "YMin", "XMax", "YMax")
_IDS = ("/m/", "/g/", "/t/", "/j/")


def index(file: BinaryIO, entries: Entries, context: Context) -> None:
    """Read a file of boxes, or one of class descriptions."""
    start = file.read(4096)
    file.seek(0)
    if not header_has(start, COLUMNS):
        _descriptions(file, entries)
        return
    asked = frozenset(context.classes)
    with Table(file, COLUMNS) as table:
        for line, cells in table:
            name = table.cell(cells, "ImageID")
            if entries.wanted(name):
                kind = table.cell(cells, "LabelName")
                entries.image(name, name)
                category = "" if kind in asked else kind
                entries.object(name, f"line {line}", _object, table, cells, category=category)


def _object(table: Table, cells: list[str]) -> LabelledObject | None:
    texts = [table.cell(cells, corner) for corner in _CORNERS]
    kind = table.cell(cells, "LabelName")
    if not kind and not any(texts):
        return None
    xmin, ymin, xmax, ymax = (number(text, corner) for text, corner in zip(texts, _CORNERS, strict=True))
    return boxed(
        label(kind),
        (xmin, ymin, xmax, ymax),
        occluded=table.cell(cells, "IsOccluded") == "1",
        truncated=table.cell(cells, "IsTruncated") == "1",
        crowd=table.cell(cells, "IsGroupOf") == "1",
    )


def _descriptions(file: BinaryIO, entries: Entries) -> None:
    """Lines of `/m/011k07,Tortoise`; newer files have a header, which matches no id."""
    text = io.TextIOWrapper(file, encoding_of(b""), errors="replace", newline="")
    try:
        for cells in csv.reader(iter(lambda: text.readline(MAX_LINE), "")):
            if len(cells) == 2 and cells[0].startswith(_IDS):
                entries.category(clean(cells[0]), clean(cells[1]))
    except csv.Error:
        pass  # classes without a name keep their id
    finally:
        text.detach()


def recognises(head: bytes) -> bool:
    """Whether it is a file of boxes."""
    return header_has(head, COLUMNS) or describes(head)


def describes(head: bytes) -> bool:
    """Whether it is a file of class descriptions."""
    lines = text_of(head).splitlines()[:2]
    return bool(lines) and all(line.count(",") == 1 for line in lines) and lines[-1].startswith(_IDS)


FORMAT = SetFormat("openImages", (".csv",), index, recognises, relative=True, sized=False, partial=True)
