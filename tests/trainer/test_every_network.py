"""Every network in real TensorFlow 1.14: it is built, trains, is evaluated, exported, and the export is proven.

Images are scaled to few pixels and training has two steps: the graphs are whole, the time is not. What each network
takes is printed; `domain/networks.py` of the operator has the numbers of such a run.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from anchors import compare_anchors
from small_networks import model_variables, shrink, variables
from trainer_runs import PATIENCE, exporting, fitting, lay_out

from graph_outline import RECORDED, outline
from trainingrun_agent.pipeline.networks import NETWORKS
from trainingrun_agent.pipeline.protos import merge, new_pipeline

PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not PYTHON, reason="TRAININGRUN_TF_PYTHON names no interpreter with TensorFlow 1.14"),
]
STEPS = 2


@pytest.mark.parametrize("network", NETWORKS)
def test_it_trains_is_evaluated_exported_and_proven(shared: Any, network: str) -> None:
    started = time.monotonic()
    spec = lay_out(
        shared.root, steps=STEPS, save_every=STEPS, images=(2, 1), network=network, batch_size=1, learning_rate="0.0001"
    )
    shrink(shared.root / "pipeline.config")
    shared.write("spec.json", spec)
    trained, log = shared.outcome_of("train", python=PYTHON, seconds=PATIENCE)
    assert (trained["outcome"], trained["step"]) == ("succeeded", STEPS), log
    assert 0 <= trained["ap50"] <= 1, log
    checkpoint = shared.root / "model" / f"model.ckpt-{STEPS}"
    assert fitting(checkpoint) == [network]
    assert outline(variables(checkpoint)) == RECORDED[network]
    restored = shared.read("progress.json")["restored"]
    assert (restored["loaded"], restored["total"]) == (0, len(model_variables(checkpoint)))
    assert all(part in restored["startsAnew"] for part in ("class heads", "box heads", "feature extractor"))
    training_seconds = time.monotonic() - started
    shared.write("spec.json", exporting(spec, ap50=trained["ap50"]))
    exported, log = shared.outcome_of("export", python=PYTHON, seconds=PATIENCE)
    assert (exported["outcome"], exported["evalImages"]) == ("succeeded", 1), log
    assert is_rounded(shared.root / "export") is NETWORKS[network].quantized
    memory = [f"{done.get('peakMemoryBytes', 0) / 1e6:.0f} MB" for done in (trained, exported)]
    print(f"\n{network}: {training_seconds:.0f} s, with the export {time.monotonic() - started:.0f} s, {memory}")


def is_rounded(export: Path) -> bool:
    """Whether the frozen graph rounds as in 8 bits, and its configuration says so too."""
    pipeline = new_pipeline()
    merge(pipeline, (export / "pipeline.config").read_text())
    in_graph = b"FakeQuantWithMinMaxVars" in (export / "frozen_inference_graph.pb").read_bytes()
    assert in_graph is pipeline.HasField("graph_rewriter")
    assert json.loads((export / "metrics.json").read_text())["evalImages"] == 1
    return in_graph


def test_the_api_makes_the_anchors_that_the_report_shows(tmp_path: Path) -> None:
    compare_anchors(NETWORKS, tmp_path, python=PYTHON)
