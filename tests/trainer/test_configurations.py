"""What a spec asks of the network's configuration, in real TensorFlow 1.14: the API can build and train it.

test_every_configuration.py has more networks and each optimizer.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from configurations import ALL_STEPS, FOCAL, trained
from trainer_runs import DEMO, PATIENCE

from pipeline_wishes import made
from trainingrun_agent.pipeline.augmentation import STEPS
from trainingrun_agent.training_settings import Augmentation

PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not PYTHON, reason="TRAININGRUN_TF_PYTHON names no interpreter with TensorFlow 1.14"),
]
SCRIPT = Path(__file__).parent / "api_augmentation.py"


def test_every_step_of_augmentation_gives_images_to_train_on(tmp_path: Path) -> None:
    for name in STEPS:
        (tmp_path / f"{name}.config").write_text(made(train={"augmentation": (Augmentation(name),)}).text)
    command = [PYTHON, str(SCRIPT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "augmented.json").read_text()) == dict.fromkeys(STEPS, "")


def test_a_network_trains_with_everything_changed_at_once(shared: Any) -> None:
    overrides = {
        "model.ssd.post_processing.batch_non_max_suppression.iou_threshold": "0.5",
        "train_config.gradient_clipping_by_norm": "10",
        "train_config.data_augmentation_options[0].random_adjust_hue": "max_delta: 0.1",
    }
    text = trained(
        shared,
        python=PYTHON,
        network=DEMO,
        model={"input_size": 96, "max_detections": 150, "overrides": overrides},
        train={"optimizer": "momentum", "focal_loss": FOCAL, "augmentation": ALL_STEPS},
    )
    assert "max_total_detections: 150" in text
