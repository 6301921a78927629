"""How a training ends early in real TensorFlow 1.14: on SIGTERM, or because its numbers became NaN."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from typing import Any

import pytest
from trainer_runs import PATIENCE, lay_out

from trcluster.command import run
from trcluster.waiting import until

PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not PYTHON, reason="TRAININGRUN_TF_PYTHON names no interpreter with TensorFlow 1.14"),
]
STEPS = 2

# A session without a network: no real one can be made to have a good loss and then a step that ruins the weights.
RUINED_STEP = """
import json, os, sys
import tensorflow as tf
from trainingrun_trainer import hooks, saving
from trainingrun_trainer.batches import BatchNames
from trainingrun_trainer.divergence import Divergence
from trainingrun_trainer.ending import Ending
from trainingrun_trainer.outcomes import TrainerError
from trainingrun_trainer.shared_folder import ProgressWriter, SharedFolder

folder = SharedFolder(sys.argv[1])
os.makedirs(folder.path("model"))
weight = tf.get_variable("weight", initializer=1.0)
step = tf.train.get_or_create_global_step()
ruin = tf.assign(weight, tf.cond(step < 1, lambda: 1.0, lambda: float("inf")))
with tf.control_dependencies([ruin]):
    train = tf.assign_add(step, 1)
spec = {"resumedFromStep": 0, "saveEverySteps": 1, "evalEverySteps": 100, "steps": 100, "modelDir": "model"}
progress = ProgressWriter(folder)
divergence = Divergence(folder, BatchNames([], progress))
listener = hooks.CheckpointListener(folder, spec, progress, None, ending=Ending(spec), divergence=divergence)
saver = saving.Saver(folder.path("model"), 1, listener)
try:
    with tf.train.SingularMonitoredSession(hooks=[saver]) as session:
        for _ in range(3):
            session.run(train)
except TrainerError as error:
    print(json.dumps(error.document()))
"""

LIST_GPUS = """
from trainingrun_trainer import gpu
from trainingrun_trainer.outcomes import TrainerError
try:
    gpu.check(1)
except TrainerError as error:
    print(error.reason, gpu.describe_gpus())
"""


def wait_for_phase(shared: Any, process: subprocess.Popen[str], phase: str) -> None:
    shared.wait_for("progress.json", process, seconds=PATIENCE)

    def reached() -> bool:
        assert process.poll() is None, process.communicate()[0]
        return bool(shared.read("progress.json")["phase"] == phase)

    until(reached, what=f"phase {phase}", seconds=PATIENCE, every=0.05, seen=lambda: shared.read("progress.json"))


def test_sigterm_while_the_graph_is_built(shared: Any) -> None:
    shared.write("spec.json", lay_out(shared.root, steps=STEPS, save_every=STEPS))
    process = shared.start("train", python=PYTHON)
    wait_for_phase(shared, process, "building")
    process.send_signal(signal.SIGTERM)
    code, log = shared.end_of(process, seconds=PATIENCE)
    done = shared.read("done.json")
    assert (code, done["outcome"], done["reason"]) == (1, "interrupted", "Terminated"), log
    assert not (shared.root / "ready").exists()


def test_sigterm_during_the_last_evaluation_costs_the_evaluation_only(shared: Any) -> None:
    spec = lay_out(shared.root, steps=STEPS, save_every=STEPS)
    shared.write("spec.json", spec)
    process = shared.start("train", python=PYTHON)
    wait_for_phase(shared, process, "evaluating")
    process.send_signal(signal.SIGTERM)
    code, log = shared.end_of(process, seconds=PATIENCE)
    done = shared.read("done.json")
    assert (code, done["outcome"]) == (1, "interrupted"), log
    assert shared.read("ready/00000002.json")["step"] == STEPS
    assert not (shared.root / "model" / "eval_0").exists()

    shared.write("spec.json", {**spec, "resumedFromStep": STEPS})
    done, log = shared.outcome_of("train", python=PYTHON, seconds=PATIENCE)
    assert (done["outcome"], done["step"]) == ("succeeded", STEPS), log
    assert "ap50" in done
    assert "step 1/" not in log


def test_an_infinite_loss_has_diverged(shared: Any) -> None:
    spec = lay_out(shared.root, steps=STEPS, save_every=1, images=(8, 2), stretch=float("inf"))
    shared.write("spec.json", spec)
    done, log = shared.outcome_of("train", python=PYTHON, seconds=PATIENCE)
    assert (done["outcome"], done["reason"]) == ("diverged", "Diverged"), log
    assert done["message"].startswith("The loss became inf at step 1; this attempt had saved no checkpoint")
    assert re.search(r" Images of step 1: train_\d{4}\.jpg(, train_\d{4}\.jpg)*\.$", done["message"])
    assert not (shared.root / "ready").exists()


def test_weights_that_are_not_finite_are_never_saved(shared: Any) -> None:
    environment = {**os.environ, "TF_PYTHONPATH": str(shared.package), "TF_CPP_MIN_LOG_LEVEL": "2"}
    log = run([PYTHON, "-c", RUINED_STEP, shared.root], env=environment, timeout=PATIENCE)
    done = json.loads(log.splitlines()[-1])
    assert done["outcome"] == "diverged", log
    assert "at step 2; the last good checkpoint is of step 1" in done["message"]
    assert sorted(path.name for path in (shared.root / "ready").iterdir()) == ["00000001.json"]
    assert sorted(path.stem for path in (shared.root / "model").glob("*.index")) == ["model.ckpt-0", "model.ckpt-1"]


def test_tensorflow_lists_the_gpus_of_its_node(shared: Any) -> None:
    """There is none here: tests/trainer/test_hardware.py has the descriptions of some."""
    environment = {**os.environ, "TF_PYTHONPATH": str(shared.package), "TF_CPP_MIN_LOG_LEVEL": "2"}
    log = run([PYTHON, "-c", LIST_GPUS], env=environment, timeout=PATIENCE)
    assert log.splitlines()[-1] == "NoCUDABuild []"
