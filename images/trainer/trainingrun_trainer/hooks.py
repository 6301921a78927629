"""Session hooks of training: progress, SIGTERM, divergence, complete checkpoints."""

import glob
import math
import os
import threading
import time
from typing import Any, Callable, Dict, Optional

import tensorflow as tf

from trainingrun_trainer.batches import HASHES
from trainingrun_trainer.cadence import EvaluationSteps
from trainingrun_trainer.divergence import Divergence
from trainingrun_trainer.ending import Ending
from trainingrun_trainer.outcomes import TrainerError
from trainingrun_trainer.shared_folder import READY, ProgressWriter, SharedFolder

LOG_SECONDS = 10.0


class StepHook(tf.train.SessionRunHook):
    """Reports every training step, stops training on SIGTERM or when it must end, and raises when it has diverged."""

    def __init__(
        self,
        model_dir: str,
        progress: ProgressWriter,
        stop: threading.Event,
        steps: int,
        *,
        ending: Ending,
        divergence: Divergence,
    ) -> None:
        self._model_dir, self._steps = model_dir, steps
        self._progress, self._stop = progress, stop
        self._ending, self._divergence = ending, divergence
        self._summary_interval = summary_interval(steps)
        self._first_step = 0
        self._started: Optional[float] = None
        self._logged = 0.0
        self.loss: Optional[float] = None

    def begin(self) -> None:
        """Look up step and loss in the finished graph."""
        if self._stop.is_set():  # before the first step there is nothing to save
            raise TrainerError("interrupted", "Terminated", "SIGTERM arrived while the graph was being built.")
        self._fetches = {
            "step": tf.train.get_global_step(),
            "loss": tf.get_collection(tf.GraphKeys.LOSSES)[-1],
            "images": tf.get_collection(HASHES)[-1],
            **_learning_rate(),
        }

    def before_run(self, run_context: Any) -> Any:
        """Ask TensorFlow to return step, loss and batch with every training step."""
        return tf.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Report the step; raise when training has diverged."""
        results = run_values.results
        step, loss = int(results["step"]), float(results["loss"])
        self.loss = loss
        self._divergence.observe(step, loss, results["images"])
        if step % self._summary_interval == 0 or step == self._steps:
            self._write_summary(step, loss)
        now = time.time()
        if self._started is None:
            self._started, self._first_step, self._logged = now, step, now
        speed = (step - self._first_step) / (now - self._started) if now > self._started else None
        self._progress.advance(
            phase="training", step=step, done=step, total=self._steps, loss=loss, stepsPerSecond=speed
        )
        if "learningRate" in results:
            self._progress.advance(learningRate=float(results["learningRate"]))
        if now - self._logged >= LOG_SECONDS or step == self._steps:
            self._logged = now
            print(f"step {step}/{self._steps} loss {loss:.4f} {speed or 0:.2f} steps/s", flush=True)
            tf.summary.FileWriterCache.get(self._model_dir).flush()  # TensorFlow itself flushes every two minutes only
        if self._ending.must_end(now) or self._stop.is_set():
            run_context.request_stop()

    def _write_summary(self, step: int, loss: float) -> None:
        """Write the loss under the name that evaluation uses, so that TensorBoard draws both curves in one chart."""
        value = tf.Summary.Value(tag="Loss/total_loss", simple_value=loss)
        tf.summary.FileWriterCache.get(self._model_dir).add_summary(tf.Summary(value=[value]), step)


def _learning_rate() -> Dict[str, Any]:
    """The learning rate in the graph, as the API names it; nothing with a schedule that has another name."""
    try:
        return {"learningRate": tf.get_default_graph().get_tensor_by_name("learning_rate:0")}
    except KeyError:
        return {}


def summary_interval(steps: int) -> int:
    """Steps between two points of a TensorBoard curve: a hundredth of the training, at most 100."""
    return max(1, min(100, steps // 100))


class CheckpointListener(tf.train.CheckpointSaverListener):
    """Announces complete checkpoints to the agent, and evaluates every evalEverySteps steps.

    Invariant: no checkpoint holds NaN or infinite numbers, so training can be resumed from each of them.
    """

    def __init__(
        self,
        folder: SharedFolder,
        spec: Dict[str, Any],
        progress: ProgressWriter,
        evaluate: Callable[[int], None],
        *,
        ending: Ending,
        divergence: Divergence,
    ) -> None:
        self._folder, self._spec, self._progress, self._evaluate = folder, spec, progress, evaluate
        self._ending, self._divergence = ending, divergence
        self._evaluation_steps = EvaluationSteps(spec)

    def begin(self) -> None:
        """Add the test for finite variables to the graph before TensorFlow makes the graph read-only."""
        floats = [variable for variable in tf.global_variables() if variable.dtype.base_dtype.is_floating]
        # A sum of squares is finite only when every number is. l2_loss (half that sum) needs one operation a variable.
        self._squares = tf.add_n([tf.cast(tf.nn.l2_loss(variable), tf.float32) for variable in floats])

    def before_save(self, session: Any, global_step_value: Any) -> None:
        """Report the save; raise when the weights are not finite, which the loss of the same step does not show yet."""
        self._progress.advance(phase="saving")
        if not math.isfinite(session.run(self._squares)):
            raise self._divergence.error("The weights became NaN or infinite", int(global_step_value))

    def after_save(self, session: Any, global_step_value: Any) -> bool:
        """Announce the checkpoint, unless the agent downloaded it as the start of this training, or it may be bad.

        Returns whether training must end.
        """
        step = int(global_step_value)
        self._progress.advance()
        if step == self._spec["resumedFromStep"] or self._divergence.is_suspected:
            return False
        announce_checkpoint(self._folder, self._spec["modelDir"], step)
        if step < self._spec["steps"] and self._evaluation_steps.take(step):
            self._evaluate(step)
        return self._ending.must_end(time.time())  # the evaluation may have taken the time that was left


def announce_checkpoint(folder: SharedFolder, model_dir: str, step: int) -> None:
    """Write ready/<step>.json with the names and sizes of the files of a checkpoint: the agent uploads them."""
    os.makedirs(folder.path(READY), exist_ok=True)
    prefix = folder.path(model_dir, f"model.ckpt-{step}")
    paths = [prefix + ".index", *sorted(glob.glob(glob.escape(prefix) + ".data-*"))]
    files = [{"name": os.path.basename(path), "size": os.path.getsize(path)} for path in paths]
    folder.write(f"{READY}/{step:08d}.json", {"step": step, "files": files})
