"""Saves checkpoints, and writes the graph of the training for TensorBoard once.

TensorFlow's own hook writes the graph seven times at the start, once of them as text, and again with every checkpoint:
that takes as long as dozens of steps, and nothing reads it.
"""

import os
import threading
from typing import Any

import tensorflow as tf

CHECKPOINT = "model.ckpt"


class Saver(tf.train.SessionRunHook):
    """Saves at the start, at the multiples of `every` and at the end; `listener` is called before and after each save.

    It must be the last hook, so that a step is saved only after the other hooks have checked it.
    """

    def __init__(self, model_dir: str, every: int, listener: Any) -> None:
        self._model_dir, self._every, self._listener = model_dir, every, listener
        self._saved, self._due = 0, every

    def begin(self) -> None:
        """Look up the step in the graph, which the listener may still extend."""
        self._step = tf.train.get_global_step()
        self._listener.begin()

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Write the graph, which is complete now, and save the step at which training starts."""
        writer = tf.summary.FileWriterCache.get(self._model_dir)
        # In a thread, because TensorFlow prepares the first step at the same time without Python.
        threading.Thread(target=writer.add_graph, args=(session.graph,), name="graph", daemon=True).start()
        self._saver = tf.get_collection(tf.GraphKeys.SAVERS)[0]
        self._save(session, int(session.run(self._step)))

    def before_run(self, run_context: Any) -> Any:
        """Ask for the step; TensorFlow may read it before or after it is raised."""
        return tf.train.SessionRunArgs(self._step)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Save when it is time; end the training when the listener says so."""
        if int(run_values.results) + 1 < self._due:
            return
        step = int(run_context.session.run(self._step))
        if step >= self._due and self._save(run_context.session, step):
            run_context.request_stop()

    def end(self, session: Any) -> None:
        """Save the last step."""
        step = int(session.run(self._step))
        if step != self._saved:
            self._save(session, step)

    def _save(self, session: Any, step: int) -> bool:
        """Save a checkpoint; returns whether training must end."""
        self._saved, self._due = step, (step // self._every + 1) * self._every
        self._listener.before_save(session, step)
        self._saver.save(session, path(self._model_dir), global_step=step, write_meta_graph=False)
        return bool(self._listener.after_save(session, step))


def open_events(model_dir: str) -> None:
    """Open the event file of the training: TensorFlow writes the graph that is current then, here an empty one."""
    with tf.Graph().as_default():
        tf.summary.FileWriterCache.get(model_dir)


def path(model_dir: str, step: Any = None) -> str:
    """The path of checkpoints without the suffix of their files; with `step`, of one."""
    return os.path.join(model_dir, CHECKPOINT if step is None else f"{CHECKPOINT}-{step}")
