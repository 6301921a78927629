"""Networks that are small enough learn the demo's tires from random weights, on two CPU cores, within minutes."""

from __future__ import annotations

import os
from typing import Any

import pytest
from small_networks import shrink, train_with_adam
from trainer_runs import DEMO, PATIENCE, lay_out

PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not PYTHON, reason="TRAININGRUN_TF_PYTHON names no interpreter with TensorFlow 1.14"),
]
# Network: steps, batch, rate, pixels. Training is not seeded: the least score is well below what each reached.
LEARNING = {DEMO: (150, 8, "0.01", 128), "ssdlite_mobilenet_v2": (150, 8, "0.002", 160)}


@pytest.mark.parametrize("network", LEARNING)
def test_it_learns(shared: Any, network: str) -> None:
    steps, batch, rate, side = LEARNING[network]
    spec = lay_out(
        shared.root,
        steps=steps,
        save_every=steps,
        images=(120, 20),
        network=network,
        batch_size=batch,
        learning_rate=rate,
    )
    shrink(shared.root / "pipeline.config", side=side)
    train_with_adam(shared.root / "pipeline.config")
    shared.write("spec.json", spec)
    trained, log = shared.outcome_of("train", python=PYTHON, seconds=PATIENCE)
    assert (trained["outcome"], trained["step"]) == ("succeeded", steps), log
    assert trained["ap50"] >= 0.5, log
