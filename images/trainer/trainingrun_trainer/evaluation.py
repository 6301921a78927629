"""Evaluates checkpoints in a graph and a session that are built once; Estimator.evaluate builds both every time.

Invariant: an evaluation returns the metrics of Estimator.evaluate for the same checkpoint, and writes the same
summaries. When SIGTERM arrives it ends at once and writes nothing.
"""

import os
import threading
import time
from typing import Any, Callable, Dict, Optional

import tensorflow as tf
from object_detection.core.standard_fields import InputDataFields

from trainingrun_trainer.building import EVALUATION, Building
from trainingrun_trainer.outcomes import TrainerError
from trainingrun_trainer.shared_folder import ProgressWriter

FOLDER = "eval_0"
"""Folder of the summaries in the model's folder; model_main gives it the same name."""
POLL_SECONDS = 0.2


class Evaluator(tf.train.SessionRunHook):
    """Evaluates checkpoints of an estimator on the images of `input_fn`.

    As a hook of the training it builds its graph while TensorFlow prepares the training's session, mostly in C++.
    """

    def __init__(
        self,
        estimator: Any,
        input_fn: Callable[..., Any],
        progress: ProgressWriter,
        stop: threading.Event,
        *,
        images: int,
        building: Building,
    ) -> None:
        self._estimator, self._input_fn, self._images = estimator, input_fn, images
        self._progress, self._stop, self._building = progress, stop, building
        self._graph = _Work(self._build)
        self._writer: Optional[Any] = None

    def begin(self) -> None:
        """Start to build the graph of the evaluations, because the one of the training is complete."""
        self._graph.start()

    def evaluate(self, checkpoint_path: str, step: int) -> Dict[str, Any]:
        """Evaluate a checkpoint and write the summaries of `step`; raises TrainerError when SIGTERM arrives."""
        what = f"the evaluation of step {step}"
        if not self._graph.is_done:
            self._building.waits_for(EVALUATION)
            self._graph.start()
        graph = self._result(self._graph, what)
        self._progress.advance(phase="evaluating", done=0, total=self._images)
        run = _Work(lambda: graph.evaluate(checkpoint_path, self._count))
        run.start()
        metrics: Dict[str, Any] = self._result(run, what)
        self._write(metrics, checkpoint_path)
        return metrics

    def close(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()

    def _build(self) -> "_Graph":
        started = time.monotonic()
        graph = _Graph(self._estimator, self._input_fn)
        self._building.built(EVALUATION, started)
        return graph

    def _count(self, images: int) -> None:
        self._progress.advance(phase="evaluating", done=min(images, self._images), total=self._images)

    def _result(self, work: "_Work", what: str) -> Any:
        """Wait for the result of work; raises TrainerError when SIGTERM arrives."""
        while not work.join(POLL_SECONDS):
            if self._stop.is_set():
                break
        if self._stop.is_set():
            raise TrainerError("interrupted", "Terminated", f"SIGTERM arrived during {what}.")
        return work.result()

    def _write(self, metrics: Dict[str, Any], checkpoint_path: str) -> None:
        """Write the summaries as Estimator does, but without the graph, which is large and nobody looks at."""
        if self._writer is None:
            self._writer = tf.summary.FileWriter(os.path.join(self._estimator.model_dir, FOLDER))
        step = int(metrics[tf.GraphKeys.GLOBAL_STEP])
        self._writer.add_summary(summary(metrics), step)
        path = tf.make_tensor_proto(checkpoint_path, dtype=tf.string)
        self._writer.add_summary(tf.Summary(value=[tf.Summary.Value(tag="checkpoint_path", tensor=path)]), step)
        self._writer.flush()


class _Work:
    """A function that runs in a thread: Python handles signals in the main thread only, between two calls of C++."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._thread: Optional[threading.Thread] = None
        self._result: Any = None
        self._error: Optional[BaseException] = None

    @property
    def is_done(self) -> bool:
        """Whether there is a result or an error."""
        return self._thread is not None and not self._thread.is_alive()

    def start(self) -> None:
        """Start it, unless it was started before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="evaluation", daemon=True)
            self._thread.start()

    def join(self, seconds: float) -> bool:
        """Wait; returns whether it has ended."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self.is_done

    def result(self) -> Any:
        """What the function returned; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 - result() raises it in the main thread
            self._error = error


class _Graph:
    """The graph of the evaluations and its session."""

    def __init__(self, estimator: Any, input_fn: Callable[..., Any]) -> None:
        config = estimator.config
        # Operations are created in the order of Estimator.evaluate: the seeds of random operations depend on it.
        with tf.Graph().as_default() as self._graph:
            tf.set_random_seed(config.tf_random_seed)
            step = tf.train.create_global_step()
            with tf.device("/cpu:0"):
                images = input_fn()
            iterator = tf.compat.v1.data.make_initializable_iterator(images)
            features, labels = iterator.get_next()
            spec = estimator.model_fn(features, labels, tf.estimator.ModeKeys.EVAL, config)
            metrics = sorted(dict(spec.eval_metric_ops, loss=tf.metrics.mean(spec.loss)).items())
            self._update = tf.group(*[update for _, (_, update) in metrics])
            self._values = {name: value for name, (value, _) in metrics}
            self._values[tf.GraphKeys.GLOBAL_STEP] = step
            self._batch = tf.shape(features[InputDataFields.image])[0]
            self._reset = [tf.local_variables_initializer(), iterator.initializer]
            self._scaffold = spec.scaffold.finalize()
        # With a seed, the random numbers of a session start anew only in another session, as Estimator.evaluate has it.
        self._session_each = config.tf_random_seed is not None and _is_random(self._update)
        self._config = config.session_config
        self._session = self._open()

    def evaluate(self, checkpoint_path: str, count: Callable[[int], None]) -> Dict[str, Any]:
        """Restore the checkpoint and return the metrics; `count` gets the number of images so far."""
        if self._session is None:
            self._session = self._open()
        self._scaffold.saver.restore(self._session, checkpoint_path)
        self._session.run(self._reset)
        images = 0
        while True:
            try:
                images += int(self._session.run([self._batch, self._update])[0])
            except tf.errors.OutOfRangeError:
                break
            count(images)
        values: Dict[str, Any] = self._session.run(self._values)
        if self._session_each:
            self._session.close()
            self._session = None
        return values

    def _open(self) -> Any:
        session = tf.Session(graph=self._graph, config=self._config)
        session.run(self._scaffold.local_init_op)  # tables of the input, which can be filled only once
        return session


def _is_random(operation: Any) -> bool:
    """Whether random numbers are drawn for an operation, as in the loss of Faster R-CNN."""
    waiting, seen = [operation], set()
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += [tensor.op for tensor in one.inputs] + list(one.control_inputs)
    return any("Random" in one.type or "Multinomial" in one.type for one in seen)


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
