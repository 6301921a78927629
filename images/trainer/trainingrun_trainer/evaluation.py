"""Evaluates checkpoints in a graph and a session that are built once; Estimator.evaluate builds both every time.

Invariant: an evaluation returns the metrics of Estimator.evaluate for the same checkpoint, and writes the same
summaries. When SIGTERM arrives it ends at once and writes nothing.
"""

import os
import threading
from typing import Any, Callable, Dict, List, Optional

import tensorflow as tf

from trainingrun_trainer.outcomes import TrainerError
from trainingrun_trainer.shared_folder import ProgressWriter

FOLDER = "eval_0"
"""Folder of the summaries in the model's folder; model_main gives it the same name."""
POLL_SECONDS = 0.2


class Evaluator:
    """Evaluates checkpoints of an estimator on the images of `input_fn`."""

    def __init__(
        self,
        estimator: Any,
        input_fn: Callable[..., Any],
        progress: ProgressWriter,
        stop: threading.Event,
        *,
        images: int,
    ) -> None:
        self._estimator, self._input_fn, self._images = estimator, input_fn, images
        self._progress, self._stop = progress, stop
        self._graph: Optional[_Graph] = None
        self._writer: Optional[Any] = None

    def evaluate(self, checkpoint_path: str, step: int) -> Dict[str, Any]:
        """Evaluate a checkpoint and write the summaries of `step`; raises TrainerError when SIGTERM arrives."""
        metrics: Dict[str, Any] = {}
        self._interruptibly(lambda: metrics.update(self._evaluate(checkpoint_path)), f"the evaluation of step {step}")
        self._write(metrics, checkpoint_path)
        return metrics

    def close(self) -> None:
        """Release the session and close the event file."""
        if self._graph is not None:
            self._graph.session.close()
        if self._writer is not None:
            self._writer.close()

    def _evaluate(self, checkpoint_path: str) -> Dict[str, Any]:
        if self._graph is None:
            self._progress.advance(phase="building")
            self._graph = _Graph(self._estimator, self._input_fn)
        self._progress.advance(phase="evaluating", done=0, total=self._images)
        return self._graph.evaluate(checkpoint_path, self._count)

    def _count(self, images: int) -> None:
        self._progress.advance(phase="evaluating", done=min(images, self._images), total=self._images)

    def _interruptibly(self, work: Callable[[], None], what: str) -> None:
        """Do the work in a thread: Python handles signals in the main thread only, and between TensorFlow's calls."""
        errors: List[BaseException] = []

        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - raised again in the main thread
                errors.append(error)

        thread = threading.Thread(target=run, name="evaluation", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(POLL_SECONDS)
            if self._stop.is_set():
                raise TrainerError("interrupted", "Terminated", f"SIGTERM arrived during {what}.")
        if errors:
            raise errors[0]

    def _write(self, metrics: Dict[str, Any], checkpoint_path: str) -> None:
        """Write the summaries as Estimator does, but without the graph, which is large and nobody looks at."""
        if self._writer is None:
            self._writer = tf.summary.FileWriter(os.path.join(self._estimator.model_dir, FOLDER))
        step = int(metrics[tf.GraphKeys.GLOBAL_STEP])
        self._writer.add_summary(summary(metrics), step)
        path = tf.make_tensor_proto(checkpoint_path, dtype=tf.string)
        self._writer.add_summary(tf.Summary(value=[tf.Summary.Value(tag="checkpoint_path", tensor=path)]), step)
        self._writer.flush()


class _Graph:
    """The evaluation's graph and its session."""

    def __init__(self, estimator: Any, input_fn: Callable[..., Any]) -> None:
        config = estimator.config
        # Operations are created in the order of Estimator.evaluate: seeds of random operations depend on it.
        with tf.Graph().as_default() as graph:
            tf.set_random_seed(config.tf_random_seed)
            step = tf.train.create_global_step()
            iterator = tf.compat.v1.data.make_initializable_iterator(input_fn())
            features, labels = iterator.get_next()
            spec = estimator.model_fn(features, labels, tf.estimator.ModeKeys.EVAL, config)
            metrics = dict(spec.eval_metric_ops, loss=tf.metrics.mean(spec.loss))
            self._update = tf.group(*[update for _, update in metrics.values()])
            self._values = {name: value for name, (value, _) in metrics.items()}
            self._values[tf.GraphKeys.GLOBAL_STEP] = step
            self._batch = tf.shape(next(iter(features.values())))[0]
            self._reset = [tf.local_variables_initializer(), iterator.initializer]
            self._scaffold = spec.scaffold.finalize()
        self.session = tf.Session(graph=graph, config=config.session_config)
        self.session.run(self._scaffold.local_init_op)  # tables of the input, which can be filled only once

    def evaluate(self, checkpoint_path: str, count: Callable[[int], None]) -> Dict[str, Any]:
        """Restore the checkpoint and return the metrics; `count` gets the number of images so far."""
        self._scaffold.saver.restore(self.session, checkpoint_path)
        self.session.run(self._reset)
        images = 0
        while True:
            try:
                images += int(self.session.run([self._batch, self._update])[0])
            except tf.errors.OutOfRangeError:
                break
            count(images)
        values: Dict[str, Any] = self.session.run(self._values)
        return values


def summary(metrics: Dict[str, Any]) -> Any:
    """The tf.Summary of metrics: numbers as scalars, pictures (which are serialized summaries) as they are."""
    result = tf.Summary()
    for name, value in metrics.items():
        if name == tf.GraphKeys.GLOBAL_STEP:
            continue
        if isinstance(value, bytes):
            pictures = tf.Summary.FromString(value)
            for number, picture in enumerate(pictures.value):
                picture.tag = f"{name}/{number}"
            result.value.extend(pictures.value)
        else:
            result.value.add(tag=name, simple_value=float(value))
    return result
