"""The anchors in the report are those that the Object Detection API makes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from anchors import compare_anchors

PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not PYTHON, reason="TRAININGRUN_TF_PYTHON names no interpreter with TensorFlow 1.14"),
]
# One network for each way to make anchors; test_every_network.py has all of them.
KINDS = ("ssd_inception_v2", "ssd_mobilenet_v1_0.25_128", "ssd_mobilenet_v1_fpn", "faster_rcnn_inception_v2")


def test_the_api_makes_the_anchors_that_the_report_shows(tmp_path: Path) -> None:
    compare_anchors(KINDS, tmp_path, python=PYTHON)
