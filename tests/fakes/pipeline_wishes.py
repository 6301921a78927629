"""Make the pipeline.config of a run with some wishes, for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trainingrun_agent.errors import UserError
from trainingrun_agent.pipeline import protos
from trainingrun_agent.pipeline.build import build_pipeline_config
from trainingrun_agent.pipeline.effective import OwnConfig, Pipeline, Wishes, effective
from trainingrun_agent.training_settings import Model, Train

SSD, FASTER = "ssd_inception_v2", "faster_rcnn_resnet50"
TRAIN = Train(
    steps=1000,
    batch_size=4,
    learning_rate="0.004",
    gpus=0,
    save_every_steps=100,
    eval_every_steps=100,
    stall_seconds=600,
)
CLASSES = ("scratch", "dent")


def default(network: str = SSD, **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "num_classes": 2,
        "steps": 1000,
        "batch_size": 4,
        "learning_rate": "0.004",
        "shuffle_buffer": 120,
        "max_boxes_per_image": 7,
        "pretrained": True,
    }
    return build_pipeline_config(network=network, **{**arguments, **changes})


def made(
    network: str = SSD,
    *,
    model: dict[str, Any] | None = None,
    train: dict[str, Any] | None = None,
    classes: tuple[str, ...] = CLASSES,
    config: str | None = None,
) -> Pipeline:
    own = None if config is None else OwnConfig(config, "s3://detectors/my.config")
    wishes = Wishes(Model(network, None, **model or {}), replace(TRAIN, **train or {}), classes, own)
    return effective(default(network), wishes)


def parsed(pipeline: Pipeline) -> Any:
    config = protos.new_pipeline()
    protos.merge(config, pipeline.text)
    return config


def rows(pipeline: Pipeline) -> list[tuple[str, str, str, str]]:
    return [(one.path, one.default, one.here, one.by) for one in pipeline.changes]


def refusal(**wishes: Any) -> str:
    with pytest.raises(UserError) as caught:
        made(**wishes)
    return f"{caught.value} | {caught.value.hint}"
