"""Reports which graph is being built, and how long each took: with a large network, minutes pass without a step."""

import time
from typing import Any, Dict

import tensorflow as tf

from trainingrun_trainer.shared_folder import ProgressWriter

TRAINING, EVALUATION = "training", "evaluation"


class Building(tf.train.SessionRunHook):
    """Reports the building of graphs in progress.json; made when the work starts.

    As a hook of the training it sees when TensorFlow has prepared that graph for the first step.
    """

    def __init__(self, progress: ProgressWriter) -> None:
        self._progress = progress
        self._seconds: Dict[str, float] = {}
        self._awaited = ""
        self.waits_for(TRAINING)

    def waits_for(self, graph: str) -> None:
        """Report that the work can only go on when this graph is built."""
        self._awaited, self._started = graph, time.monotonic()
        self._progress.advance(phase="building", building=graph)

    def built(self, graph: str, started: float) -> None:
        """Report how long a graph took, by the monotonic time at which its building started."""
        self._seconds[graph] = round(time.monotonic() - started, 1)
        self._progress.advance(buildSeconds=dict(self._seconds))
        if graph == self._awaited:
            self._progress.advance(building=None)

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Report how long the graph of the training took."""
        self.built(TRAINING, self._started)
