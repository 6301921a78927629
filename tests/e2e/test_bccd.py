"""A run on real data, BCCD: 364 images of blood cells in a VOC tree, three classes, two boxes without area."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from trdemo.bucket import split_uri
from trdemo.follow import condition
from trdemo.installation import Installation, tire_run
from trimages.paths import REPOSITORY

BCCD = Path(os.environ.get("TRAININGRUN_BCCD") or REPOSITORY.parent / "shared" / "data" / "bccd")
pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(not BCCD.is_dir(), reason=f"no data set at {BCCD}; set TRAININGRUN_BCCD to its folder"),
]


@pytest.fixture(scope="module")
def status(installation: Installation, namespace: str) -> dict[str, Any]:
    files = [path for path in sorted(BCCD.rglob("*")) if path.is_file() and path.parent != BCCD]
    installation.bucket.put_all((f"bccd/{path.relative_to(BCCD)}", path.read_bytes()) for path in files)
    source = {"uri": "bccd/"}
    run = tire_run(
        "bccd",
        dataset={
            "train": {**source, "imageSet": "trainval"},
            "eval": {**source, "imageSet": "test"},
            "classes": ["RBC", "WBC", "Platelets"],
        },
        train={"steps": 300, "saveEverySteps": 150, "evalEverySteps": 300},
        export={"evalImages": 40},
    )
    installation.apply(run, namespace=namespace)
    return installation.finished("bccd", namespace=namespace, seconds=600)


def test_the_run_succeeds(status: dict[str, Any]) -> None:
    assert condition(status, "Succeeded") == "True", status.get("message")
    assert status["export"]["evalImages"] == 40


def test_both_boxes_without_area_are_reported_by_file(installation: Installation, status: dict[str, Any]) -> None:
    _, key = split_uri(status["dataset"]["reportJSONURI"])
    report = json.loads(installation.bucket.read(key))
    files = {finding["file"].rpartition("/")[2] for finding in report["findings"]}
    assert {"BloodImage_00338.xml", "BloodImage_00343.xml"} <= files


def test_every_class_is_counted_and_scored(installation: Installation, status: dict[str, Any]) -> None:
    _, key = split_uri(status["dataset"]["reportJSONURI"])
    report = json.loads(installation.bucket.read(key))
    assert set(report["splits"]["train"]["perClass"]) == {"RBC", "WBC", "Platelets"}
    _, prefix = split_uri(status["export"]["uri"])
    metrics = json.loads(installation.bucket.read(f"{prefix}metrics.json"))
    assert set(metrics["perClass"]) == {"RBC", "WBC", "Platelets"}
    assert metrics["perClass"]["WBC"]["ap50"] >= 0.5  # the only class whose boxes are large enough for this network
