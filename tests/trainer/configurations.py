"""Train a few steps with the configuration that a spec asks for, in real TensorFlow 1.14."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer_runs import PATIENCE, lay_out

from trainingrun_agent.pipeline.augmentation import STEPS
from trainingrun_agent.pipeline.effective import Wishes, effective
from trainingrun_agent.training_settings import Augmentation, FocalLoss, Model, Train

RUN_STEPS = 2
ALL_STEPS = tuple(Augmentation(name) for name in STEPS if not name.startswith(("ssd_", "random_crop", "random_image")))
FOCAL = FocalLoss("0.25", "2")


def trained(
    shared: Any, *, python: str, network: str, model: dict[str, Any] | None = None, train: dict[str, Any] | None = None
) -> str:
    """Train and evaluate; returns the configuration, raises AssertionError with the trainer's log."""
    spec = lay_out(
        shared.root,
        steps=RUN_STEPS,
        save_every=RUN_STEPS,
        images=(2, 1),
        network=network,
        batch_size=2,
        learning_rate="0.0001",
    )
    settings = Train(RUN_STEPS, 2, "0.0001", 0, RUN_STEPS, RUN_STEPS, 600, **train or {})
    path: Path = shared.root / "pipeline.config"
    asked = Wishes(Model(network, None, **{"input_size": 160, **(model or {})}), settings, ("tire",))
    path.write_text(effective(path.read_text(), asked).text)
    shared.write("spec.json", spec)
    done, log = shared.outcome_of("train", python=python, seconds=PATIENCE)
    assert (done["outcome"], done["step"]) == ("succeeded", RUN_STEPS), log
    assert 0 <= done["ap50"] <= 1, log
    return path.read_text()
