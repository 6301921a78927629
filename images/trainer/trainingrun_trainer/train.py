"""The driver: `object_detection.model_lib` with our own cadence of saves and evaluations, and an end to trust.

model_main cannot be told when to save or evaluate, keeps nothing on SIGTERM, and ends with exit code 0 when it did
nothing. This driver needs no patch of the API: it calls the estimator that model_lib makes.
"""

import os

import tensorflow as tf
from google.protobuf import text_format
from object_detection import model_hparams, model_lib

from trainingrun_trainer import gpu, hooks, pipeline_config
from trainingrun_trainer.outcomes import TrainerError

MAP, AP50 = "DetectionBoxes_Precision/mAP", "DetectionBoxes_Precision/mAP@.50IOU"


def train(folder, spec, progress, stop):
    # type: (object, dict, object, object) -> dict
    """Train to the last step and evaluate; returns the fields of done.json."""
    gpu.check(spec["gpus"])
    tf.logging.set_verbosity(tf.logging.ERROR)
    progress.advance(phase="building", step=spec["resumedFromStep"], steps=spec["steps"])
    return _Training(folder, spec, progress, stop).run()


class _Training(object):
    def __init__(self, folder, spec, progress, stop):
        # type: (object, dict, object, object) -> None
        self._folder, self._spec, self._progress, self._stop = folder, spec, progress, stop
        config = pipeline_config.load(folder, spec)
        self._pretrained = config.train_config.fine_tune_checkpoint
        self._model_dir = folder.path(spec["modelDir"])
        os.makedirs(self._model_dir, exist_ok=True)
        made = model_lib.create_estimator_and_inputs(
            run_config=self._run_config(),
            hparams=model_hparams.create_hparams(None),
            pipeline_config_path=self._write_config(config),
            train_steps=spec["steps"],
            sample_1_of_n_eval_examples=1,
        )
        self._estimator, self._train_input = made["estimator"], made["train_input_fn"]
        self._eval_input = made["eval_input_fns"][0]
        self._scores = {}  # type: dict

    def run(self):
        # type: () -> dict
        steps = hooks.StepHook(self._folder, self._model_dir, self._progress, self._stop, self._spec["steps"])
        watchers = [steps]
        if self._pretrained and not self._spec["resumedFromStep"]:
            watchers.append(hooks.PretrainedHook(self._pretrained))
        watchers.append(self._saver())
        try:
            self._estimator.train(self._train_input, hooks=watchers, max_steps=self._spec["steps"])
        finally:  # also after an error the curves up to it are worth seeing
            tf.summary.FileWriterCache.clear()
        step = self._last_step()
        if self._stop.is_set() and step < self._spec["steps"]:
            raise TrainerError("interrupted", "Terminated", "SIGTERM: checkpoint {} is complete.".format(step))
        hooks.announce(self._folder, self._spec["modelDir"], step)
        self._evaluate(step)  # interrupted here, the next attempt trains no more but evaluates
        return self._done(step, steps.loss)

    def _saver(self):
        # type: () -> tf.train.CheckpointSaverHook
        """The last hook, unlike the estimator's own, which would save a step before its loss was looked at."""
        listener = hooks.CheckpointListener(self._folder, self._spec, self._progress, self._evaluate)
        return tf.train.CheckpointSaverHook(
            self._model_dir, save_steps=self._spec["saveEverySteps"], listeners=[listener]
        )

    def _done(self, step, loss):
        # type: (int, float or None) -> dict
        done = {"outcome": "succeeded", "reason": "Completed", "step": step}
        done["message"] = "Trained {} steps".format(step)
        if loss is not None:
            done["loss"] = loss
        if self._scores:
            done.update(self._scores)
            done["message"] += ", AP@.5 {ap50:.3f}, mAP {mAP:.3f}".format(**self._scores)
        return done

    def _evaluate(self, step):
        # type: (int) -> None
        """Evaluate the newest checkpoint; raises TrainerError once SIGTERM was seen."""
        if self._stop.is_set():
            raise TrainerError("interrupted", "Terminated", "SIGTERM before the evaluation of step {}.".format(step))
        total = self._spec["evalImages"]
        self._progress.advance(phase="evaluating", done=0, total=total)
        watcher = hooks.EvaluationHook(self._progress, self._stop, total)
        metrics = self._estimator.evaluate(self._eval_input, hooks=[watcher], name="0")
        # -1 is the API's word for "no ground truth": no score.
        scores = {"ap50": float(metrics.get(AP50, -1)), "mAP": float(metrics.get(MAP, -1))}
        self._scores = {name: value for name, value in scores.items() if value >= 0}
        if len(self._scores) == len(scores):
            self._progress.advance(evalStep=step, **self._scores)
            line = "step {}: AP@.5 {ap50:.3f} mAP {mAP:.3f} on {} images"
            print(line.format(step, total, **self._scores), flush=True)
        else:
            self._scores = {}
        self._progress.advance(phase="training", done=step, total=self._spec["steps"])

    def _run_config(self):
        # type: () -> tf.estimator.RunConfig
        session = tf.ConfigProto(allow_soft_placement=True)
        session.gpu_options.allow_growth = True
        rewriting = session.graph_options.rewrite_options
        rewriting.meta_optimizer_iterations = rewriting.ONE  # as without a config: a second pass only costs start-up
        return tf.estimator.RunConfig(
            model_dir=self._model_dir,
            save_checkpoints_steps=self._spec["saveEverySteps"],
            save_summary_steps=hooks.summary_steps(self._spec["steps"]),
            log_step_count_steps=100,
            session_config=session,
        )

    def _write_config(self, config):
        # type: (object) -> str
        path = self._folder.path("pipeline.local.config")
        with open(path, "w") as handle:
            handle.write(text_format.MessageToString(config))
        return path

    def _last_step(self):
        # type: () -> int
        newest = tf.train.latest_checkpoint(self._model_dir)
        if newest is None:
            outcome = "interrupted" if self._stop.is_set() else "crash"
            raise TrainerError(outcome, "NoCheckpoint", "No checkpoint was saved.")
        return int(newest.rsplit("-", 1)[1])
