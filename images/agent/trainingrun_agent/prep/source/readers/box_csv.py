"""Reader of any other table with a line per box: columns by their usual names, or without a header.

Invariant: a table is read only if each column is found without doubt; the corners are pixels. A line with an image and
nothing else is an image without objects.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from trainingrun_agent.prep.model.annotation import LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.label_files import ANNOTATION_FORMAT, IMAGE_NAME_MISSING
from trainingrun_agent.prep.source.readers import open_images, tutorial_csv, via
from trainingrun_agent.prep.source.readers.base import Context, Entries, SetFormat
from trainingrun_agent.prep.source.readers.table import DELIMITERS, MAX_LINE, Table, header_has, names_in
from trainingrun_agent.prep.source.readers.values import boxed, label, number, pixels, text_of

HEAD = 64 << 10
LINES, MOST = 20, 0.75
"""Lines that are looked at without a header, and the part of them that has to fit."""
_IMAGE = (
    *("filename", "image", "imageid", "imagename", "imagepath", "imagefilename", "imagefile"),
    *("file", "filepath", "fname", "path", "img", "imgname", "imgpath"),
)
_CLASS = ("class", "label", "classname", "labelname", "category", "categoryname", "cls", "object", "tag")
_CORNERS = {
    "xmin": ("xmin", "x1", "left", "bboxxmin", "boxxmin", "bboxx1", "bboxleft", "topleftx", "upperleftx"),
    "ymin": ("ymin", "y1", "top", "bboxymin", "boxymin", "bboxy1", "bboxtop", "toplefty", "upperlefty"),
    "xmax": ("xmax", "x2", "right", "bboxxmax", "boxxmax", "bboxx2", "bboxright", "bottomrightx", "lowerrightx"),
    "ymax": ("ymax", "y2", "bottom", "bboxymax", "boxymax", "bboxy2", "bboxbottom", "bottomrighty", "lowerrighty"),
}
_FROM_ZERO = {"xmin": ("x0",), "ymin": ("y0",), "xmax": ("x1",), "ymax": ("y1",)}
_EXTENT = {
    "xmin": ("bboxx", "boxx", "x", "xmin", "x1", "left", "bboxleft"),
    "ymin": ("bboxy", "boxy", "y", "ymin", "y1", "top", "bboxtop"),
    "width": ("bboxwidth", "boxwidth", "bboxw", "w", "width"),
    "height": ("bboxheight", "boxheight", "bboxh", "h", "height"),
}
_TURNED = {"x3", "y3", "angle", "rotation", "theta"}
"""Columns of boxes that are turned: four of their numbers would be another box."""
_SIZE = {
    "imagewidth": ("imagewidth", "imgwidth", "imgw", "width"),
    "imageheight": ("imageheight", "imgheight", "imgh", "height"),
}
_BOXES = (_FROM_ZERO, _CORNERS, _EXTENT)
_NO_HEADER = (
    ("filename", "xmin", "ymin", "xmax", "ymax", "class"),  # RetinaNet in Keras
    ("filename", "imagewidth", "imageheight", "class", "xmin", "ymin", "xmax", "ymax"),  # the tutorial's
    ("class", "xmin", "ymin", "width", "height", "filename", "imagewidth", "imageheight"),  # makesense.ai
)
_NAMED = ("filename", "class")
_IMAGE_NAME = re.compile(r"[^\s].*\.(?:jpe?g|png|bmp|gif|tiff?|webp|jfif|jpe)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:\.\d{0,20})?")


@dataclass(frozen=True)
class Layout:
    """The name of each column in the file by what it means; without header, `names` are those of all columns."""

    columns: Mapping[str, str]
    names: tuple[str, ...] = ()


def layout_of(head: bytes) -> Layout | None:
    """The layout of a table that begins like this, None if it is not one of boxes."""
    lines = text_of(head).splitlines()
    first = next((line for line in lines if line.strip()), "")
    if len(first) > MAX_LINE:
        return None
    for mark in DELIMITERS:
        found = _by_names(names_in(first, mark), _cells(lines[: LINES + 1], mark)) or _by_values(lines, mark)
        if found is not None:
            return found
    return None


def _by_names(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Layout | None:
    by_letters = {_letters(name): name for name in reversed(names)}

    def pick(candidates: Sequence[str]) -> str | None:
        return next((by_letters[one] for one in candidates if one in by_letters), None)

    image, kind = pick(_IMAGE), _class_column([by_letters[one] for one in _CLASS if one in by_letters], names, rows)
    for corners in () if by_letters.keys() & _TURNED else _BOXES:
        box = {name: column for name, candidates in corners.items() if (column := pick(candidates))}
        if image and kind and len(box) == len(corners) == len(set(box.values())):
            size = {name: column for name, candidates in _SIZE.items() if (column := pick(candidates))}
            free = {name: column for name, column in size.items() if column not in box.values()}
            return Layout({"filename": image, "class": kind, **box, **free})
    return None


def _class_column(columns: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[str]]) -> str | None:
    """The first of these columns that has names, else the first: some tables have a number of the class as well."""

    def numbered(column: str) -> bool:
        at = names.index(column)
        return all(_NUMBER.fullmatch(row[at]) for row in rows[1:] if at < len(row))

    return next((column for column in columns if not numbered(column)), next(iter(columns), None))


def missing_columns(head: bytes) -> str:
    """What a table that begins like this has no column for, such as "the class and the box"; empty if it has all."""
    first = next((line for line in text_of(head).splitlines() if line.strip()), "")
    if layout_of(head) is not None or len(first) > MAX_LINE:
        return ""
    names = max((names_in(first, mark) for mark in DELIMITERS), key=len)
    letters = {_letters(name) for name in names}
    lacking = [what for what, known in (("the image", _IMAGE), ("the class", _CLASS)) if not letters & set(known)]
    if letters & _TURNED:
        lacking.append("an upright box")
    elif not any(all(letters & set(candidates) for candidates in box.values()) for box in _BOXES):
        lacking.append("the box")
    return " and ".join(lacking)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name)


def _by_values(lines: Sequence[str], mark: str) -> Layout | None:
    """The layout without header that nearly all of the first lines have."""
    rows = [row for row in _cells(lines[:LINES], mark) if any(row)]
    for names in _NO_HEADER:
        fitting = [row for row in rows if _fits(row, names)]
        if len(fitting) > MOST * len(rows) and any(all(row) for row in fitting):
            return Layout({name: name for name in names}, names)
    return None


def _cells(lines: Sequence[str], mark: str) -> list[list[str]]:
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=mark)]
    except csv.Error:
        return []


def _fits(row: Sequence[str], names: Sequence[str]) -> bool:
    """Whether the cells can be what the names say; a line with an image alone fits."""
    if len(row) != len(names):
        return False
    cells = dict(zip(names, row, strict=True))
    numbers = [cell for name, cell in cells.items() if name not in _NAMED]
    drawn = [cells["class"], *(cell for name, cell in cells.items() if name not in (*_NAMED, *_SIZE))]
    named = _IMAGE_NAME.fullmatch(cells["filename"]) is not None
    return named and all(not cell or _NUMBER.fullmatch(cell) for cell in numbers) and (all(drawn) or not any(drawn))


def index(file: BinaryIO, entries: Entries, context: Context) -> None:  # noqa: ARG001 - names stand in the file
    """Read a label file into the index."""
    head = file.read(HEAD)
    file.seek(0)
    layout = layout_of(head)
    if layout is None:
        found = text_of(head).lstrip().split("\n", 1)[0].strip()[:120]
        raise UnusableError(ANNOTATION_FORMAT, case="columns", found=found, columns="image, class and four of a box")
    with Table(file, tuple(layout.columns.values()), no_header=layout.names) as table:
        for line, cells in table:
            texts = {name: table.cell(cells, column) for name, column in layout.columns.items()}
            name = texts["filename"]
            if not name:
                entries.stray(UnusableError(IMAGE_NAME_MISSING, where=f"line {line}"))
                continue
            width, height = pixels(texts.get("imagewidth")), pixels(texts.get("imageheight"))
            entries.image(name, name, width=width, height=height)
            entries.object(name, f"line {line}", _object, texts)


def _object(texts: Mapping[str, str]) -> LabelledObject | None:
    box = {name: text for name, text in texts.items() if name not in (*_NAMED, *_SIZE)}
    if not texts["class"] and not any(box.values()):
        return None
    found = {name: number(text, name) for name, text in box.items()}
    xmin, ymin = found["xmin"], found["ymin"]
    xmax = found["xmax"] if "xmax" in found else xmin + found["width"]
    ymax = found["ymax"] if "ymax" in found else ymin + found["height"]
    return boxed(label(texts["class"]), (xmin, ymin, xmax, ymax))


def recognises(head: bytes) -> bool:
    """A table of boxes that no other format reads."""
    others = (tutorial_csv.COLUMNS, open_images.COLUMNS, via.COLUMNS)
    return not any(header_has(head, columns) for columns in others) and layout_of(head) is not None


FORMAT = SetFormat("csv", (".csv",), index, recognises, sized=False)
