"""Changes of a pipeline.config that make a network quick enough for a test on two CPU cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainingrun_agent.pipeline import protos
from trainingrun_agent.pipeline.checkpoint import read_index

SMALL = 160
"""Pixels; every network can be built with it. The graph is the same, an image takes a fraction of the time."""


def shrink(path: Path, *, side: int = SMALL) -> None:
    """Scale images to this many pixels instead of the network's own."""
    config = _read(path)
    resizer = getattr(config.model, config.model.WhichOneof("model")).image_resizer
    if resizer.HasField("fixed_shape_resizer"):
        resizer.fixed_shape_resizer.height = resizer.fixed_shape_resizer.width = side
    else:
        resizer.keep_aspect_ratio_resizer.min_dimension = side
    path.write_text(protos.to_text(config))


def train_with_adam(path: Path) -> None:
    """Adam with the schedule as it is, and whole images: what learns fastest from random weights."""
    config = _read(path)
    training = config.train_config
    schedule = getattr(training.optimizer, training.optimizer.WhichOneof("optimizer")).learning_rate
    text = protos.to_text(schedule)
    training.optimizer.ClearField(training.optimizer.WhichOneof("optimizer"))
    protos.merge(training.optimizer, f"adam_optimizer {{ learning_rate {{ {text} }} }}")
    del training.data_augmentation_options[:]
    protos.merge(training, "data_augmentation_options { random_horizontal_flip { } }")
    path.write_text(protos.to_text(config))


def model_variables(checkpoint: Path) -> list[str]:
    """Names of the model's variables in a checkpoint.

    The others are steps, the optimizer's, which are named below another, and the ranges of rounding.
    """
    return [name for name in variables(checkpoint) if "_quant/" not in name]


def variables(checkpoint: Path) -> list[str]:
    """Names of all variables in a checkpoint but steps and the optimizer's."""
    names = read_index(Path(f"{checkpoint}.index").read_bytes()).variables.keys()
    return [name for name in names if "/" in name and name.rpartition("/")[0] not in names]


def _read(path: Path) -> Any:
    config = protos.new_pipeline()
    protos.merge(config, path.read_text())
    return config
