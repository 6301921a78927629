"""The benchmark's photos have different bytes and names, and preparation uses them unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from prep_in_memory import Preparation
from trbench import photos

DEFAULT = photos.BCCD


@pytest.mark.parametrize("source", ["bccd", "drawn"])
def test_photos_are_clean_and_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    if source == "drawn":
        monkeypatch.setattr(photos, "BCCD", tmp_path / "none")
        monkeypatch.setattr(photos, "DRAWN", 3)
    elif not DEFAULT.is_dir():
        pytest.skip(f"no data set at {DEFAULT}; set TRAININGRUN_BCCD to its folder")
    folder = tmp_path / "photos"
    folder.mkdir()
    made = photos.write_photos(2, folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(set(files.values())) == len(files) == 2 * made.images
    assert made.size == sum(map(len, files.values()))
    assert source in made.what.casefold()

    prep = Preparation(tmp_path, classes=made.classes, max_image_side=640)
    prep.memory.objects = {f"{'eval' if '-000.' in name else 'train'}/{name}": data for name, data in files.items()}
    prepared = prep.run()
    assert prepared.train_images == prepared.eval_images == made.images / 2
    assert prepared.numbers["errors"] == 0
