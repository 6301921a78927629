"""Session hooks of training and evaluation: progress, SIGTERM, divergence, pretrained weights, complete checkpoints."""

import glob
import math
import os
import time

import tensorflow as tf

from trainingrun_trainer.outcomes import TrainerError

LOG_SECONDS = 10.0
EXTRACTORS = ("FeatureExtractor/", "FirstStageFeatureExtractor/", "SecondStageFeatureExtractor/")


class StepHook(tf.train.SessionRunHook):
    """Reports every step, ends the loop on SIGTERM, and raises when the loss is no number any more."""

    def __init__(self, folder, model_dir, progress, stop, steps):
        # type: (object, str, object, object, int) -> None
        self._folder, self._model_dir, self._steps = folder, model_dir, steps
        self._progress, self._stop = progress, stop
        self.step, self.loss = 0, None
        self._summary_every = summary_steps(steps)
        self._since = self._logged = None
        self._first = 0

    def begin(self):
        # type: () -> None
        """Find what to fetch in the graph."""
        if self._stop.is_set():  # before the first step there is nothing to save
            raise TrainerError("interrupted", "Terminated", "SIGTERM while the graph was built.")
        self._fetch = {"step": tf.train.get_global_step(), "loss": tf.get_collection(tf.GraphKeys.LOSSES)[-1]}

    def before_run(self, run_context):
        # type: (object) -> object
        """Fetch step and loss along."""
        return tf.train.SessionRunArgs(self._fetch)

    def after_run(self, run_context, run_values):
        # type: (object, object) -> None
        """Report the step."""
        self.step, self.loss = int(run_values.results["step"]), float(run_values.results["loss"])
        if not math.isfinite(self.loss):
            raise diverged("The loss became {}".format(self.loss), self.step, self._folder)
        if self.step % self._summary_every == 0 or self.step == self._steps:
            self._draw()
        now = time.time()
        if self._since is None:
            self._since, self._first, self._logged = now, self.step, now
        speed = (self.step - self._first) / (now - self._since) if now > self._since else None
        self._progress.advance(
            phase="training", step=self.step, done=self.step, total=self._steps, loss=self.loss, stepsPerSecond=speed
        )
        if now - self._logged >= LOG_SECONDS or self.step == self._steps:
            self._logged = now
            line = "step {}/{} loss {:.4f} {:.2f} steps/s"
            print(line.format(self.step, self._steps, self.loss, speed or 0), flush=True)
            tf.summary.FileWriterCache.get(self._model_dir).flush()  # by itself it would every two minutes
        if self._stop.is_set():
            run_context.request_stop()

    def _draw(self):
        # type: () -> None
        """Write the loss under the name that evaluation uses, so that TensorBoard draws both curves in one chart."""
        value = tf.Summary.Value(tag="Loss/total_loss", simple_value=self.loss)
        tf.summary.FileWriterCache.get(self._model_dir).add_summary(tf.Summary(value=[value]), self.step)


def summary_steps(steps):
    # type: (int) -> int
    """Steps between two points of a curve: a hundred points a run, but never rarer than every hundred steps."""
    return max(1, min(100, steps // 100))


class EvaluationHook(tf.train.SessionRunHook):
    """Counts evaluated images; SIGTERM ends an evaluation before it could write scores of a part of the images."""

    def __init__(self, progress, stop, total):
        # type: (object, object, int) -> None
        self._progress, self._stop, self._total = progress, stop, total
        self._done = 0

    def after_run(self, run_context, run_values):
        # type: (object, object) -> None
        """Count one image."""
        self._done += 1
        self._progress.advance(phase="evaluating", done=min(self._done, self._total), total=self._total)
        if self._stop.is_set():
            raise TrainerError("interrupted", "Terminated", "SIGTERM during an evaluation.")


class PretrainedHook(tf.train.SessionRunHook):
    """Makes sure that the pretrained checkpoint fits: one that shares no variable would train from random silently."""

    def __init__(self, prefix):
        # type: (str) -> None
        self._prefix = prefix

    def begin(self):
        # type: () -> None
        """Compare names and shapes of the graph's variables with the checkpoint's."""
        found = {name: list(shape) for name, shape in tf.train.list_variables(self._prefix)}
        wanted = [v for v in tf.global_variables() if v.op.name.startswith(EXTRACTORS) and v in tf.model_variables()]
        wanted = wanted or [v for v in tf.trainable_variables() if v.op.name.startswith(EXTRACTORS)]
        fitting = [v for v in wanted if found.get(v.op.name) == v.shape.as_list()]
        print("pretrained: {} of {} variables of the feature extractor".format(len(fitting), len(wanted)), flush=True)
        if not fitting:
            raise TrainerError(
                "userError",
                "PretrainedMismatch",
                "model.pretrained fits none of the {} variables of the feature extractor.".format(len(wanted)),
                "Take weights of the same network as model.network.",
            )


class CheckpointListener(tf.train.CheckpointSaverListener):
    """Announces complete checkpoints, and evaluates at the asked cadence.

    Invariant: no checkpoint holds a number that is not finite, so that every one of them is worth resuming from.
    """

    def __init__(self, folder, spec, progress, evaluate):
        # type: (object, dict, object, object) -> None
        self._folder, self._spec, self._progress, self._evaluate = folder, spec, progress, evaluate
        self._evaluations = spec["resumedFromStep"] // spec["evalEverySteps"]

    def begin(self):
        # type: () -> None
        """Add the check of all variables to the graph, before it is finalized."""
        numbers = [variable for variable in tf.global_variables() if variable.dtype.base_dtype.is_floating]
        # Half the sum of squares is finite only when every number is, and is the one test of a single operation.
        self._squares = tf.add_n([tf.cast(tf.nn.l2_loss(variable), tf.float32) for variable in numbers])

    def before_save(self, session, global_step_value):
        # type: (object, int) -> None
        """Say that a save began; raise when a finite loss was followed by a step that ruined the weights."""
        self._progress.advance(phase="saving")
        if not math.isfinite(session.run(self._squares)):
            raise diverged("The weights became NaN or infinite", int(global_step_value), self._folder)

    def after_save(self, session, global_step_value):
        # type: (object, int) -> None
        """Announce the checkpoint; the one that training began with is known already."""
        step = int(global_step_value)
        self._progress.advance()
        if step == self._spec["resumedFromStep"]:
            return
        announce(self._folder, self._spec["modelDir"], step)
        # An evaluation needs a checkpoint: it is due at the first one at or after each multiple of evalEverySteps.
        due = step // self._spec["evalEverySteps"]
        if due > self._evaluations and step < self._spec["steps"]:
            self._evaluations = due
            self._evaluate(step)


def announce(folder, model_dir, step):
    # type: (object, str, int) -> None
    """Write ready/<step>.json with the names and sizes of a checkpoint's files."""
    os.makedirs(folder.path("ready"), exist_ok=True)
    prefix = folder.path(model_dir, "model.ckpt-{}".format(step))
    paths = [prefix + ".index"] + sorted(glob.glob(glob.escape(prefix) + ".data-*"))
    files = [{"name": os.path.basename(path), "size": os.path.getsize(path)} for path in paths]
    folder.write("ready/{:08d}.json".format(step), {"step": step, "files": files})


def diverged(what, step, folder):
    # type: (str, int, object) -> TrainerError
    """The end of a run that cannot recover; `what` starts its message. Names the last checkpoint from before."""
    saved = [int(name[:-5]) for name in os.listdir(folder.path("ready"))] if os.path.isdir(folder.path("ready")) else []
    before = [one for one in saved if one < step]
    good = "the last good checkpoint is that of step {}".format(max(before)) if before else "no checkpoint is older"
    return TrainerError(
        "diverged",
        "Diverged",
        "{} at step {}; {}.".format(what, step, good),
        "Lower train.learningRate, or look for bad boxes in the data report.",
    )
