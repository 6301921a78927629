"""Trains with `object_detection.model_lib`: saves and evaluates at the steps that spec.json asks for.

The API's own driver, model_main, has no option for when to save or evaluate, saves nothing on SIGTERM, and ends with
exit code 0 when it did nothing. This driver needs no patch of the API: it runs the estimator that model_lib creates.
"""

import os
import threading
from typing import Any, Dict, Optional

import tensorflow as tf
from google.protobuf import text_format
from object_detection import model_hparams, model_lib

from trainingrun_trainer import gpu, hooks, pipeline_config, weights
from trainingrun_trainer.outcomes import TrainerError
from trainingrun_trainer.shared_folder import ProgressWriter, SharedFolder

MAP, AP50 = "DetectionBoxes_Precision/mAP", "DetectionBoxes_Precision/mAP@.50IOU"


def train(
    folder: SharedFolder, spec: Dict[str, Any], progress: ProgressWriter, stop: threading.Event
) -> Dict[str, Any]:
    """Train to the last step and evaluate; returns the fields of done.json."""
    gpu.check(spec["gpus"])
    tf.logging.set_verbosity(tf.logging.ERROR)
    progress.advance(phase="building", step=spec["resumedFromStep"], steps=spec["steps"])
    return _Training(folder, spec, progress, stop).run()


class _Training:
    def __init__(
        self, folder: SharedFolder, spec: Dict[str, Any], progress: ProgressWriter, stop: threading.Event
    ) -> None:
        self._folder, self._spec, self._progress, self._stop = folder, spec, progress, stop
        config = pipeline_config.load(folder, spec)
        self._pretrained = bool(config.train_config.fine_tune_checkpoint)
        self._model_dir = folder.path(spec["modelDir"])
        os.makedirs(self._model_dir, exist_ok=True)
        created = model_lib.create_estimator_and_inputs(
            run_config=self._run_config(),
            hparams=model_hparams.create_hparams(None),
            pipeline_config_path=self._write_config(config),
            train_steps=spec["steps"],
            sample_1_of_n_eval_examples=1,
            model_fn_creator=weights.model_fn_creator(spec.get("pretrainedScope", "")),
        )
        self._estimator, self._train_input = created["estimator"], created["train_input_fn"]
        self._eval_input = created["eval_input_fns"][0]
        self._scores: Dict[str, float] = {}

    def run(self) -> Dict[str, Any]:
        step_hook = hooks.StepHook(self._folder, self._model_dir, self._progress, self._stop, self._spec["steps"])
        train_hooks = [step_hook]
        if not self._spec["resumedFromStep"]:
            everything = self._spec.get("pretrainedAll", False)
            train_hooks.append(weights.StartHook(self._progress, pretrained=self._pretrained, everything=everything))
        train_hooks.append(self._saver())
        try:
            self._estimator.train(self._train_input, hooks=train_hooks, max_steps=self._spec["steps"])
        finally:  # write the summaries also after an error: the curves up to it show what happened
            tf.summary.FileWriterCache.clear()
        step = self._last_step()
        if self._stop.is_set() and step < self._spec["steps"]:
            raise TrainerError(
                "interrupted", "Terminated", f"SIGTERM arrived; the checkpoint of step {step} is complete."
            )
        hooks.announce_checkpoint(self._folder, self._spec["modelDir"], step)
        self._evaluate(step)  # if this is interrupted, the next attempt resumes at the last step and only evaluates
        return self._done(step, step_hook.loss)

    def _saver(self) -> Any:
        """The hook that saves checkpoints; it must be the last one.

        The estimator's own hook would come before StepHook and save a step before its loss was checked.
        """
        listener = hooks.CheckpointListener(self._folder, self._spec, self._progress, self._evaluate)
        return tf.train.CheckpointSaverHook(
            self._model_dir, save_steps=self._spec["saveEverySteps"], listeners=[listener]
        )

    def _done(self, step: int, loss: Optional[float]) -> Dict[str, Any]:
        """The fields of done.json."""
        done: Dict[str, Any] = {"outcome": "succeeded", "reason": "Completed", "step": step}
        done["message"] = f"Trained {step} steps"
        if loss is not None:
            done["loss"] = loss
        if self._scores:
            done.update(self._scores)
            done["message"] += ", AP@.5 {ap50:.3f}, mAP {mAP:.3f}".format(**self._scores)
        return done

    def _evaluate(self, step: int) -> None:
        """Evaluate the newest checkpoint; raises TrainerError when SIGTERM has arrived."""
        if self._stop.is_set():
            raise TrainerError("interrupted", "Terminated", f"SIGTERM arrived before the evaluation of step {step}.")
        total = self._spec["evalImages"]
        self._progress.advance(phase="evaluating", done=0, total=total)
        hook = hooks.EvaluationHook(self._progress, self._stop, total)
        metrics = self._estimator.evaluate(self._eval_input, hooks=[hook], name="0")
        # The API returns -1 when the images have no labelled box: then there is no score.
        scores = {"ap50": float(metrics.get(AP50, -1)), "mAP": float(metrics.get(MAP, -1))}
        self._scores = scores if all(score >= 0 for score in scores.values()) else {}
        if self._scores:
            self._progress.advance(evalStep=step, **self._scores)
            line = "step {}: AP@.5 {ap50:.3f} mAP {mAP:.3f} on {} images"
            print(line.format(step, total, **self._scores), flush=True)
        self._progress.advance(phase="training", done=step, total=self._spec["steps"])

    def _run_config(self) -> Any:
        """The RunConfig of the estimator."""
        session = tf.ConfigProto(allow_soft_placement=True)
        session.gpu_options.allow_growth = True
        rewriting = session.graph_options.rewrite_options
        # One pass of the graph optimizer, as TensorFlow does without a config: a second one only costs start-up time.
        rewriting.meta_optimizer_iterations = rewriting.ONE
        return tf.estimator.RunConfig(
            model_dir=self._model_dir,
            save_checkpoints_steps=self._spec["saveEverySteps"],
            save_summary_steps=hooks.summary_interval(self._spec["steps"]),
            log_step_count_steps=100,
            session_config=session,
        )

    def _write_config(self, config: Any) -> str:
        path = self._folder.path("pipeline.local.config")
        with open(path, "w") as handle:
            handle.write(text_format.MessageToString(config))
        return path

    def _last_step(self) -> int:
        """The step of the newest checkpoint."""
        newest = tf.train.latest_checkpoint(self._model_dir)
        if newest is None:
            outcome = "interrupted" if self._stop.is_set() else "crash"
            raise TrainerError(outcome, "NoCheckpoint", "Training ended before it saved a checkpoint.")
        return int(newest.rsplit("-", 1)[1])
