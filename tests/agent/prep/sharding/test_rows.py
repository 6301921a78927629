"""Stored rows are believed only within bounds: anybody who may write to the bucket can have written them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from trainingrun_agent.prep.sharding import rows

ROW: dict[str, Any] = {
    "path": "a.jpg",
    "versions": ["1", "2"],
    "record": [0, 9],
    "size": [24, 18],
    "fingerprints": ["00", "ff"],
    "boxes": [],
}


def stored(path: Path, row: object) -> Path:
    path.write_bytes(gzip.compress(b"{}\n" + json.dumps(row).encode()))
    return path


def test_a_row_is_read(tmp_path: Path) -> None:
    [row] = rows.read(stored(tmp_path / "rows.gz", ROW))
    assert (row.checked.path, row.offset, row.length) == ("a.jpg", 0, 9)


FINDING = {"code": "BoxClipped", "severity": "warning", "split": "train", "file": "a.xml"}
BROKEN = {
    "a record longer than any": ROW | {"record": [0, 1 << 40]},
    "a record of less than nothing": ROW | {"record": [0, -1]},
    "a record before the beginning": ROW | {"record": [-1, 9]},
    "a record that is no number": ROW | {"record": [0, "9"]},
    "a finding with lists in lists": ROW | {"findings": [FINDING | {"fields": {"name": [[[]]]}}], "seen": []},
    "lists without end": None,
}


@pytest.mark.parametrize("row", BROKEN.values(), ids=BROKEN)
def test_a_row_out_of_bounds_is_damaged(tmp_path: Path, row: object) -> None:
    path = stored(tmp_path / "rows.gz", row)
    if row is None:
        path.write_bytes(gzip.compress(b"{}\n" + b"[" * 200_000))
    with pytest.raises(rows.UNREADABLE):
        list(rows.read(path))
