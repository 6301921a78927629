"""What spec.json makes of pipeline.config: how much of the weights the API may load, and what an attempt changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from object_detection.protos import pipeline_pb2
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


def changed(root: Path, **spec: Any) -> Any:
    """The configuration of a training with these fields in its spec."""
    return pipeline_config.load(
        SharedFolder(str(root)), {**lay_out(root, steps=30, save_every=1, images=(1, 1)), **spec}
    )


def test_an_attempt_may_have_another_batch_size_and_seed(tmp_path: Path) -> None:
    config = changed(tmp_path, batchSize=4, seed=0)
    assert config.train_config.batch_size == 4
    assert config.train_input_reader.num_readers == 1
    assert config.train_input_reader.shuffle


@pytest.mark.parametrize(
    "spec",
    [{}, {"batchSize": None, "learningRateFactor": 1.0, "seed": None}],
    ids=["agent of an earlier release", "no changes"],
)
def test_without_changes_pipeline_config_decides(tmp_path: Path, spec: dict[str, Any]) -> None:
    config = changed(tmp_path, **spec)
    rates = config.train_config.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate
    assert config.train_config.batch_size == 8
    assert rates.learning_rate_base == pytest.approx(0.01)
    assert config.train_input_reader.num_readers == 4


SCHEDULES: dict[str, tuple[str, str]] = {
    # the schedule, and what it has with half of each rate; fields that are not set have half of their default
    "constant": ("learning_rate: 0.5", "learning_rate: 0.25"),
    "cosine_decay": (
        "learning_rate_base: 0.5 total_steps: 30 warmup_steps: 2",
        "learning_rate_base: 0.25 total_steps: 30 warmup_learning_rate: 0.0001 warmup_steps: 2",
    ),
    "manual_step": (
        "initial_learning_rate: 0.5 schedule { step: 9 learning_rate: 0.125 } warmup: true",
        "initial_learning_rate: 0.25 schedule { step: 9 learning_rate: 0.0625 } warmup: true",
    ),
    "exponential_decay": (
        "initial_learning_rate: 0.5 decay_steps: 9 burnin_learning_rate: 0.125",
        "initial_learning_rate: 0.25 decay_steps: 9 burnin_learning_rate: 0.0625 min_learning_rate: 0.0",
    ),
}


@pytest.mark.parametrize("optimizer", ["adam_optimizer", "momentum_optimizer", "rms_prop_optimizer"])
@pytest.mark.parametrize("kind", SCHEDULES)
def test_the_factor_scales_every_rate_and_nothing_else(tmp_path: Path, optimizer: str, kind: str) -> None:
    whole, halved = (
        f"{optimizer} {{ learning_rate {{ {kind}_learning_rate {{ {one} }} }} }}" for one in SCHEDULES[kind]
    )
    spec = {**lay_out(tmp_path, steps=30, save_every=1, images=(1, 1)), "learningRateFactor": 0.5}
    path = tmp_path / "pipeline.config"
    config = text_format.Parse(path.read_text(), pipeline_pb2.TrainEvalPipelineConfig())
    config.train_config.ClearField("optimizer")
    text_format.Merge(whole, config.train_config.optimizer)
    path.write_text(text_format.MessageToString(config))
    found = pipeline_config.load(SharedFolder(str(tmp_path)), spec).train_config.optimizer
    expected = text_format.Parse(halved, type(found)())
    found_text, expected_text = (text_format.MessageToString(one, float_format=".6g") for one in (found, expected))
    assert found_text == expected_text
