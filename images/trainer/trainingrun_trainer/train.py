"""Trains with `object_detection.model_lib`: saves and evaluates at the steps that spec.json asks for.

The API's own driver, model_main, has no option for when to save or evaluate, saves nothing on SIGTERM, and ends with
exit code 0 when it did nothing. This driver needs no patch of the API: it runs the estimator that model_lib creates.
"""

import os
import threading
from typing import Any, Dict, List, Optional

import tensorflow as tf
from google.protobuf import text_format
from object_detection import model_hparams, model_lib

from trainingrun_trainer import batches, evaluation, gpu, hooks, pipeline_config, saving, seeding, weights
from trainingrun_trainer.best import Evaluations
from trainingrun_trainer.building import TRAINING, Building
from trainingrun_trainer.divergence import Divergence
from trainingrun_trainer.ending import EARLY_STOPPING, Ending
from trainingrun_trainer.outcomes import TrainerError
from trainingrun_trainer.shared_folder import ProgressWriter, SharedFolder

MAP, AP50 = "DetectionBoxes_Precision/mAP", "DetectionBoxes_Precision/mAP@.50IOU"


def train(
    folder: SharedFolder, spec: Dict[str, Any], progress: ProgressWriter, stop: threading.Event
) -> Dict[str, Any]:
    """Train to the last step and evaluate; returns the fields of done.json."""
    gpu.check(spec["gpus"])
    tf.logging.set_verbosity(tf.logging.ERROR)
    progress.advance(step=spec["resumedFromStep"], steps=spec["steps"])
    return _Training(folder, spec, progress, stop).run()


class _Training:
    def __init__(
        self, folder: SharedFolder, spec: Dict[str, Any], progress: ProgressWriter, stop: threading.Event
    ) -> None:
        self._folder, self._spec, self._progress, self._stop = folder, spec, progress, stop
        self._building = Building(progress)
        self._ending, self._evaluations = Ending(spec), Evaluations(spec)
        if self._evaluations.enough:  # the attempt before this one was interrupted while it ended
            self._ending.stop(EARLY_STOPPING)
        self._last = self._ending.last_step
        records = [folder.path(path) for path in spec["trainRecords"]]
        self._divergence = Divergence(folder, batches.BatchNames(records, progress))
        self._seed = seeding.seed_everything(spec)
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
            model_fn_creator=batches.model_fn_creator(
                weights.model_fn_creator(spec.get("pretrainedScope", "")), spec.get("classWeights")
            ),
        )
        self._estimator, self._train_input = created["estimator"], created["train_input_fn"]
        self._evaluator = evaluation.Evaluator(
            self._estimator,
            created["eval_input_fns"][0],
            progress,
            stop,
            images=spec["evalImages"],
            building=self._building,
        )
        # By step: what an attempt before this one has measured need not be measured again.
        known = spec.get("resumedEvaluation")
        self._scores: Dict[int, Dict[str, float]] = {}
        if known:
            self._scores[known["step"]] = {"ap50": known["ap50"], "mAP": known["mAP"]}
        if self._evaluations.best:
            progress.advance(best=self._evaluations.best)

    def run(self) -> Dict[str, Any]:
        resumed = self._spec["resumedFromStep"]
        if self._spec.get("evaluateResumed") and self._last > resumed:
            self._evaluate_resumed()
        loss = self._train() if self._last > resumed else None
        step = self._last_step()
        if self._stop.is_set() and self._ending.stopped_by is None and step < self._last:
            raise TrainerError(
                "interrupted", "Terminated", f"SIGTERM arrived; the checkpoint of step {step} is complete."
            )
        hooks.announce_checkpoint(self._folder, self._spec["modelDir"], step)
        if step not in self._scores:  # if this is interrupted, the next attempt resumes here and only evaluates
            self._evaluate(step)
        self._evaluator.close()
        return self._done(step, loss)

    def _evaluate_resumed(self) -> None:
        """Evaluate the checkpoint at which the attempt before this one was interrupted: it may be the best."""
        self._evaluate(self._spec["resumedFromStep"])
        self._last = self._ending.last_step
        self._building.waits_for(TRAINING)

    def _train(self) -> Optional[float]:
        """Train from the newest checkpoint until training ends; returns the last loss."""
        step_hook = hooks.StepHook(
            self._model_dir,
            self._progress,
            self._stop,
            self._spec["steps"],
            ending=self._ending,
            divergence=self._divergence,
        )
        train_hooks: List[Any] = [self._building, step_hook]
        if not self._spec["resumedFromStep"]:
            everything = self._spec.get("pretrainedAll", False)
            train_hooks.append(weights.StartHook(self._progress, pretrained=self._pretrained, everything=everything))
        train_hooks += [self._evaluator, self._saver()]
        saving.open_events(self._model_dir)
        try:
            self._estimator.train(self._train_input, hooks=train_hooks, max_steps=self._last)
        finally:  # write the summaries also after an error: the curves up to it show what happened
            tf.summary.FileWriterCache.clear()
        return step_hook.loss

    def _saver(self) -> Any:
        """The hook that saves checkpoints; it must be the last one."""
        listener = hooks.CheckpointListener(
            self._folder,
            self._spec,
            self._progress,
            self._evaluate,
            ending=self._ending,
            divergence=self._divergence,
        )
        return saving.Saver(self._model_dir, self._spec["saveEverySteps"], listener)

    def _done(self, step: int, loss: Optional[float]) -> Dict[str, Any]:
        """The fields of done.json."""
        done: Dict[str, Any] = {"outcome": "succeeded", "reason": "Completed", "step": step}
        done["message"] = f"Trained {step} steps"
        stopped_by, scores = self._ending.reported(step), self._scores.get(step)
        if stopped_by:
            done["stoppedBy"] = stopped_by
            done["message"] = "Trained {} of {} steps ({})".format(step, self._spec["steps"], stopped_by)
        if loss is not None:
            done["loss"] = loss
        if scores:
            done.update(scores)
            done["message"] += ", AP@.5 {ap50:.3f}, mAP {mAP:.3f}".format(**scores)
        if self._evaluations.best:
            done["best"] = self._evaluations.best
        return done

    def _evaluate(self, step: int) -> None:
        """Evaluate the newest checkpoint; raises TrainerError when SIGTERM has arrived."""
        if self._stop.is_set():
            raise TrainerError("interrupted", "Terminated", f"SIGTERM arrived before the evaluation of step {step}.")
        metrics = self._evaluator.evaluate(saving.path(self._model_dir, step), step)
        # The API returns -1 when the images have no labelled box: then there is no score.
        scores = {"ap50": float(metrics.get(AP50, -1)), "mAP": float(metrics.get(MAP, -1))}
        self._scores[step] = scores if all(score >= 0 for score in scores.values()) else {}
        if self._scores[step]:
            self._take_scores(step, scores)
        self._progress.advance(phase="training", done=step, total=self._spec["steps"])

    def _take_scores(self, step: int, scores: Dict[str, float]) -> None:
        """Report an evaluation, and decide whether training has got better for the last time."""
        self._evaluations.add(step, scores)
        self._evaluations.write(self._folder)
        self._progress.advance(evalStep=step, best=self._evaluations.best, **scores)
        line = "step {}: AP@.5 {ap50:.3f} mAP {mAP:.3f} on {} images"
        print(line.format(step, self._spec["evalImages"], **scores), flush=True)
        if self._evaluations.enough:
            self._ending.stop(EARLY_STOPPING)

    def _run_config(self) -> Any:
        """The RunConfig of the estimator."""
        session = tf.ConfigProto(allow_soft_placement=True)
        session.gpu_options.allow_growth = True
        rewriting = session.graph_options.rewrite_options
        # One pass of the graph optimizer, as TensorFlow does without a config: a second one only costs start-up time.
        rewriting.meta_optimizer_iterations = rewriting.ONE
        return tf.estimator.RunConfig(
            model_dir=self._model_dir,
            tf_random_seed=self._seed,
            save_checkpoints_steps=None,  # Saver saves
            save_checkpoints_secs=None,
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
