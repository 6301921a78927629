"""Real data: the blood cells of BCCD, a VOC tree with three classes and two degenerate boxes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from prep_in_memory import Preparation

DEFAULT = Path(__file__).parents[4] / "shared" / "data" / "bccd"
FOLDER = Path(os.environ.get("TRAININGRUN_BCCD", DEFAULT))


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no data set at {FOLDER}; set TRAININGRUN_BCCD to its folder")
def test_prepares_bccd(prep: Preparation) -> None:
    prep.memory.objects = {
        f"bccd/{path.relative_to(FOLDER)}": path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()
    }
    prep.train = replace(prep.train, key="bccd/", image_set="trainval")
    prep.eval = replace(prep.eval, key="bccd/", image_set="test")
    prep.classes = ("RBC", "WBC", "Platelets")
    made = prep.run()
    assert (made.train_images, made.eval_images) == (292, 72)
    assert made.numbers["trainObjects"] + made.numbers["evalObjects"] == 4886
    report = prep.document("report.json")
    assert report["counts"] == {"BoxDegenerate": 2}
    assert [(finding["file"], finding["object"]) for finding in report["findings"]] == [
        ("Annotations/BloodImage_00338.xml", 12),
        ("Annotations/BloodImage_00343.xml", 3),
    ]
    assert all(report["splits"]["train"]["perClass"].values())
    assert made.max_boxes_per_image == 30
