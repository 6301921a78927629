"""Prove an export: load what was written, run it on images training never saw, score and draw what it finds."""

import io
import os

import numpy as np
import tensorflow as tf
from PIL import Image

from trainingrun_trainer import pictures, records
from trainingrun_trainer.outcomes import TrainerError
from trainingrun_trainer.scores import Scores

MAX_PICTURES = 16
DRAW_SCORE = 0.5
OUTPUTS = ("num_detections", "detection_boxes", "detection_scores", "detection_classes")


def prove(frozen_graph, examples, names, picture_folder, progress, stop):
    # type: (str, list, dict, str, object, object) -> dict
    """Score a frozen graph on examples; returns metrics with `evalImages`."""
    os.makedirs(picture_folder, exist_ok=True)
    scores, detections = Scores(names), 0
    with _session(frozen_graph) as session:
        for number, example in enumerate(examples):
            if stop.is_set():
                raise TrainerError("interrupted", "Terminated", "SIGTERM while the exported graph was being proven.")
            image = Image.open(io.BytesIO(example.encoded)).convert("RGB")
            found = _detect(session, image)
            truth = list(zip(example.classes, example.boxes))
            scores.add(image.size, truth, found)
            clear = [one for one in found if one[1] >= DRAW_SCORE]
            detections += len(clear)
            if number < MAX_PICTURES:
                pictures.draw(image, truth, clear, names, os.path.join(picture_folder, "{}.png".format(number)))
            progress.advance(phase="inferring", done=number + 1, total=len(examples))
    return dict(scores.result(), evalImages=len(examples), detections=detections)


def load_saved_model(folder):
    # type: (str) -> list
    """Load a SavedModel and return the names of its signatures."""
    with tf.Graph().as_default(), tf.Session() as session:
        try:
            loaded = tf.saved_model.loader.load(session, [tf.saved_model.tag_constants.SERVING], folder)
        except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
            raise TrainerError("crash", "SavedModelUnusable", "The SavedModel cannot be loaded: {}".format(error))
        return sorted(loaded.signature_def)


class _session(object):  # noqa: N801 - reads as a function
    """A session on a frozen graph."""

    def __init__(self, path):
        # type: (str) -> None
        graph_def = tf.GraphDef()
        try:
            with open(path, "rb") as handle:
                graph_def.ParseFromString(handle.read())
            self._graph = tf.Graph()
            with self._graph.as_default():
                tf.import_graph_def(graph_def, name="")
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is unusable
            raise TrainerError("crash", "FrozenGraphUnusable", "The frozen graph cannot be loaded: {}".format(error))

    def __enter__(self):
        # type: () -> tf.Session
        self._session = tf.Session(graph=self._graph)
        return self._session

    def __exit__(self, *_):
        # type: (*object) -> None
        self._session.close()


def _detect(session, image):
    # type: (tf.Session, Image.Image) -> list
    values = session.run(
        [name + ":0" for name in OUTPUTS], feed_dict={"image_tensor:0": np.asarray(image, dtype=np.uint8)[None]}
    )
    count = int(values[0][0])
    boxes, scores, classes = (value[0][:count] for value in values[1:])
    return [(int(k), float(s), [float(v) for v in b]) for k, s, b in zip(classes, scores, boxes)]


def examples_of(folder, spec):
    # type: (object, dict) -> list
    """The seeded sample of evaluation examples."""
    return records.sample([folder.path(path) for path in spec["evalRecords"]], spec["maxEvalImages"])
