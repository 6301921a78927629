"""The trainer as it is, with a hook of the tests in its session; runs in the trainer's interpreter.

Arguments: those of trainingrun_trainer. The environment variable OBSERVED names a file that gets a line of JSON when
the session has its variables, with the SHA-256 of the bytes of each, and one for every step, with its learning rate and
loss. END_AT (`40 SIGTERM`) sends the process this signal when it has made this step, before anything else learns of it.
"""

import hashlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

STOP = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: STOP.set())

from trainingrun_trainer import wrapper  # noqa: E402 - after the handler, as in the trainer


def observe() -> None:
    """Add the hook to every training of this process."""
    import tensorflow as tf

    class Observer(tf.train.SessionRunHook):  # type: ignore[misc]
        """The first hook: it sees what was restored before anything can change it."""

        def begin(self) -> None:
            graph = tf.get_default_graph()
            loss = tf.get_collection(tf.GraphKeys.LOSSES)[-1]
            self.fetches = {"rate": graph.get_tensor_by_name("learning_rate:0"), "loss": loss}
            self.variables = {variable.op.name: variable for variable in tf.global_variables()}
            self.end_at, _, self.signal = os.environ.get("END_AT", "").partition(" ")

        def after_create_session(self, session: Any, coord: Any) -> None:
            values = session.run(self.variables)
            write({"restored": {name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in values.items()}})

        def before_run(self, run_context: Any) -> Any:
            return tf.train.SessionRunArgs(self.fetches)

        def after_run(self, run_context: Any, run_values: Any) -> None:
            step = int(run_context.session.run(tf.train.get_global_step(run_context.session.graph)))
            rate, loss = (float(run_values.results[name]) for name in ("rate", "loss"))
            write({"step": step, "rate": rate, "loss": loss})
            if str(step) == self.end_at:
                os.kill(os.getpid(), getattr(signal, self.signal))

    train = tf.estimator.Estimator.train

    def observed(self: Any, input_fn: Any, hooks: Any = None, **arguments: Any) -> Any:
        return train(self, input_fn, hooks=[Observer(), *(hooks or [])], **arguments)

    tf.estimator.Estimator.train = observed


def write(line: Any) -> None:
    with Path(os.environ["OBSERVED"]).open("a") as file:
        file.write(json.dumps(line) + "\n")


def work(*arguments: Any) -> Any:
    """As the trainer's own, in its child process."""
    observe()
    return original(*arguments)


original = wrapper._work
wrapper._work = work
sys.exit(wrapper.main(STOP))
