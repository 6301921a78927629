"""Read public data sets as their authors publish them: `make corpus`. TRAININGRUN_CORPUS is the folder of all."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from trcorpus.fetch import fetch
from trcorpus.reading import read
from trcorpus.sets import Row, Set, sets

FOLDER = os.environ.get("TRAININGRUN_CORPUS", "")
ROWS = [pytest.param(item, row, id=f"{item.name}/{row.inside}".rstrip("/")) for item in sets() for row in item.rows]


@pytest.fixture
def folder(item: Set) -> Path:
    if not FOLDER:
        pytest.skip("TRAININGRUN_CORPUS names no folder")
    path = Path(FOLDER).resolve() / item.name
    if not path.exists():
        try:
            fetch(item.source, path)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"not there, and not fetched: {getattr(error, 'stderr', '') or error}")
    return path


@pytest.mark.parametrize(("item", "row"), ROWS)
def test_a_public_set_is_read_right_on_the_first_try(
    item: Set, row: Row, folder: Path, tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    if row.sample:
        image, name, *corners = row.sample
        boxes = row.labelled(folder)[str(image)]
        assert any(name == other and at == pytest.approx(corners, abs=0.2) for other, *at in boxes)
    outcome = read(row, folder, tmp_path)
    record_property("corpus", f"{row.shape}: {outcome.line}")
    assert not outcome.wrong, "\n".join(outcome.wrong)
