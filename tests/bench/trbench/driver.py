"""Compare our training loop with the Object Detection API's model_main, in real TensorFlow 1.14.

Both train the demo's network on the same records with the same pipeline.config, save and evaluate at the same steps,
and end with a last save and a last evaluation. Seconds are the lifetime of the process, imports included.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trbench.measurements import Echo, Measurement, compare
from trcluster import ClusterError
from trcluster.command import run
from trimages.paths import REPOSITORY
from trrunner import needs

PAIRS = 5
LIMIT = 1.05
TIMEOUT_SECONDS = 1800.0
STEPS, SAVE_EVERY, IMAGES = 300, 100, (120, 20)
TRAINER = REPOSITORY / "images" / "trainer"
MODEL_MAIN = REPOSITORY / "tests" / "bench" / "stock_model_main.py"


def measure(echo: Echo) -> Iterator[Measurement]:
    """Measure our training time over that of model_main."""
    needs.prepare("tensorflow", echo=echo)
    python = os.environ.get("TRAININGRUN_TF_PYTHON")
    if not python:
        raise ClusterError("TensorFlow 1.14 has wheels for x86-64 only")
    found = compare(lambda: _ours(python), lambda: _model_main(python), pairs=PAIRS)
    detail = f"ours {found.ours:.1f} s, model_main {found.theirs:.1f} s, {STEPS} steps, {STEPS // SAVE_EVERY} saves"
    yield Measurement("training against model_main", found.ratio, "x", LIMIT, detail)


def _ours(python: str) -> float:
    with tempfile.TemporaryDirectory(prefix="trbench-") as name:
        root = Path(name)
        (root / "spec.json").write_text(json.dumps(_lay_out(root)))
        argv = [python, "-m", "trainingrun_trainer", "train", "--shared", name]
        return _timed(argv, newest=root / "model" / f"model.ckpt-{STEPS}.index")


def _model_main(python: str) -> float:
    with tempfile.TemporaryDirectory(prefix="trbench-") as name:
        root = Path(name)
        spec = _lay_out(root)
        argv = [python, str(MODEL_MAIN), name, json.dumps(spec)]
        return _timed(argv, newest=root / "model" / f"model.ckpt-{STEPS}.index")


def _lay_out(root: Path) -> dict[str, Any]:
    sys.path.append(str(REPOSITORY / "tests" / "trainer"))  # trainer_runs.py is part of the trainer's tests
    lay_out = importlib.import_module("trainer_runs").lay_out
    return {**lay_out(root, steps=STEPS, save_every=SAVE_EVERY, images=IMAGES), "evalEverySteps": SAVE_EVERY}


def _timed(argv: list[str], *, newest: Path) -> float:
    environment = {**os.environ, "TF_PYTHONPATH": str(TRAINER)}
    started = time.monotonic()
    run(argv, env=environment, timeout=TIMEOUT_SECONDS)
    seconds = time.monotonic() - started
    if not newest.exists():
        raise ClusterError(f"{argv[0]} ended without {newest.name}")
    return seconds
