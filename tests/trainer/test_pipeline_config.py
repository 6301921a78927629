"""What spec.json makes of pipeline.config: how much of the weights the API may load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from trainer_runs import lay_out

from trainingrun_trainer import pipeline_config
from trainingrun_trainer.shared_folder import SharedFolder


@pytest.mark.parametrize(
    ("scope", "stored", "load_all"),
    [
        ({"pretrainedScope": "all"}, False, True),
        ({"pretrainedScope": "allButClasses"}, False, True),
        ({"pretrainedScope": "featureExtractor"}, True, False),
        ({}, False, False),
        ({}, True, True),
    ],
    ids=["all", "other classes", "archive", "agent of an earlier release", "and a configuration that loads all"],
)
def test_the_scope_in_the_spec_decides_whether_the_api_loads_heads(
    tmp_path: Path, scope: dict[str, str], stored: bool, load_all: bool
) -> None:
    spec: dict[str, Any] = {**lay_out(tmp_path, steps=1, save_every=1, images=(1, 1), pretrained=True), **scope}
    text = (tmp_path / "pipeline.config").read_text()
    line = f"load_all_detection_checkpoint_vars: {str(stored).lower()}"
    (tmp_path / "pipeline.config").write_text(text.replace("train_config {", f"train_config {{ {line}"))
    (tmp_path / "pretrained").mkdir()
    (tmp_path / "pretrained" / "model.ckpt.index").touch()
    config = pipeline_config.load(SharedFolder(str(tmp_path)), spec).train_config
    assert config.load_all_detection_checkpoint_vars is load_all
    assert config.fine_tune_checkpoint == str(tmp_path / "pretrained" / "model.ckpt")
