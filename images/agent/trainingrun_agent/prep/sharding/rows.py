"""Rows: what is stored about each image of a shard, so that the next preparation need not check it again.

A file of rows is compressed with gzip. Its first line is the summary of the shard (shard_summary.py), then comes one
line of JSON per image, in the order of paths.

Invariant: a row gives back the Checked that it was written from, except for the record, whose position in the shard it
holds.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from trainingrun_agent import bounded_json
from trainingrun_agent.prep.image.check import Checked
from trainingrun_agent.prep.model.annotation import LabelledObject
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.sharding import shard_summary
from trainingrun_agent.prep.sharding.job import ImageFile

LEVEL = 1
_JSON = json.JSONEncoder(separators=(",", ":"))
MAX_LINE, MAX_RECORD = 16 << 20, 64 << 20
"""Bytes of a row, and of a record, which holds one image."""


@dataclass(frozen=True)
class Row:
    """An image's row; `offset` and `length` of its record are in bytes and include the frame.

    Without a record, `length` is 0.
    """

    version: str
    labels_version: str
    checked: Checked
    offset: int
    length: int


def encode(row: Row) -> bytes:
    """A row as a line of JSON."""
    checked = row.checked
    document: dict[str, Any] = {
        "path": checked.path,
        "versions": [row.version, row.labels_version],
        "record": [row.offset, row.length],
        "size": checked.size,
        "fingerprints": [checked.sha256.hex(), checked.look.hex()],
        "boxes": [_cells(box) for box in checked.boxes],
    }
    if checked.findings or len(checked.seen) != len(checked.boxes):
        document["findings"] = [finding.to_json() for finding in checked.findings]
        document["seen"] = checked.seen
    return _JSON.encode(document).encode() + b"\n"


def read(path: Path) -> Iterator[Row]:
    """Read the rows of a file. Raises one of UNREADABLE if it is damaged."""
    with gzip.open(path, "rb") as file:
        file.readline(shard_summary.MAX_LINE)
        yield from _rows(file)


def _rows(file: BinaryIO | gzip.GzipFile) -> Iterator[Row]:
    while line := file.readline(MAX_LINE):
        try:
            yield _decode(bounded_json.loads(line))
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"not a row: {type(error).__name__}: {error}") from error


UNREADABLE = (ValueError, OSError, EOFError, zlib.error)
"""What reading a damaged file of rows raises."""


def unchanged(row: Row, file: ImageFile) -> bool:
    """Whether image and labels are the ones that the row is about."""
    return row.version == file.version and row.labels_version == file.labels_version


def _cells(box: LabelledObject) -> list[Any]:
    flags = box.difficult | box.truncated << 1 | box.occluded << 2
    return [box.index, box.name, box.xmin, box.ymin, box.xmax, box.ymax, flags, box.view]


def _decode(document: dict[str, Any]) -> Row:
    boxes = tuple([_box_of(*box) for box in document["boxes"]])
    offset, length = document["record"]
    if not (isinstance(offset, int) and isinstance(length, int) and offset >= 0 and 0 <= length <= MAX_RECORD):
        raise ValueError(f"a record of {length!r} bytes at {offset!r}")
    version, labels_version = document["versions"]
    sha256, look = map(bytes.fromhex, document["fingerprints"])
    checked = Checked(
        document["path"],
        None,
        tuple([Finding.from_json(finding) for finding in document.get("findings", ())]),
        tuple(document["seen"]) if "seen" in document else tuple([box.name for box in boxes]),
        boxes,
        tuple(document["size"]),
        sha256,
        look,
        usable=length > 0,
    )
    return Row(version, labels_version, checked, offset, length)


def _box_of(
    index: int, name: str, xmin: float, ymin: float, xmax: float, ymax: float, flags: int, view: str
) -> LabelledObject:
    difficult, truncated, occluded = bool(flags & 1), bool(flags & 2), bool(flags & 4)  # as in _cells
    return LabelledObject(index, name, xmin, ymin, xmax, ymax, difficult, truncated, view, occluded)
