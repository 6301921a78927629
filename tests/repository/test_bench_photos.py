"""The benchmark's photos have different bytes and names, and preparation uses them unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from prep_in_memory import Preparation
from trbench import photos
from trbench.generated_bucket import RepeatedPhoto, prepare_generated
from trbench.own_process import in_own_process
from trdemo.tires import draw_set

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


def test_generated_photos_can_be_prepared(tmp_path: Path) -> None:
    drawn = [RepeatedPhoto(*photos.enlarged(photo, width=320)) for photo in draw_set(2, seed=1, prefix="bench")]
    made = in_own_process(prepare_generated, tmp_path, drawn, 300)  # so many that there are workers
    assert made.images == 300
