"""Tests an export: loads the exported graph, runs it on evaluation images, scores and draws what it detects."""

import contextlib
import os
import threading
from typing import Any, Callable, Dict, Iterator, List, Tuple

import tensorflow as tf
from PIL import Image

from trainingrun_trainer import pictures
from trainingrun_trainer.outcomes import TrainerError
from trainingrun_trainer.records import Example
from trainingrun_trainer.scores import Scores
from trainingrun_trainer.shared_folder import ProgressWriter

MAX_PICTURES = 16
MIN_SCORE_DRAWN = 0.5
OUTPUTS = ("num_detections", "detection_boxes", "detection_scores", "detection_classes")


def prove(
    frozen_graph: str,
    examples: List[Example],
    names: Dict[int, str],
    picture_folder: str,
    progress: ProgressWriter,
    stop: threading.Event,
) -> Dict[str, Any]:
    """Run a frozen graph on the examples; returns the fields of metrics.json and saves pictures of the first ones."""
    os.makedirs(picture_folder, exist_ok=True)
    scores, drawn = Scores(names), 0
    with _session_of(frozen_graph) as session, _decoder() as decode:
        for number, example in enumerate(examples):
            if stop.is_set():
                raise TrainerError("interrupted", "Terminated", "SIGTERM arrived while the exported graph was tested.")
            pixels = decode(example.encoded)
            image = Image.fromarray(pixels)
            detections = _detect(session, pixels)
            ground_truth = list(zip(example.classes, example.boxes))
            scores.add(image.size, ground_truth, detections)
            likely = [detection for detection in detections if detection[1] >= MIN_SCORE_DRAWN]
            drawn += len(likely)
            if number < MAX_PICTURES:
                path = os.path.join(picture_folder, pictures.file_name(number, example.name))
                pictures.draw(image, ground_truth, likely, names, path)
            progress.advance(phase="inferring", done=number + 1, total=len(examples))
    return dict(scores.result(), evalImages=len(examples), detections=drawn)


def load_saved_model(folder: str) -> None:
    """Load a SavedModel; raises TrainerError when TensorFlow cannot."""
    with tf.Graph().as_default(), tf.Session() as session:
        try:
            tf.saved_model.loader.load(session, [tf.saved_model.tag_constants.SERVING], folder)
        except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
            raise TrainerError("crash", "SavedModelUnusable", f"The SavedModel cannot be loaded: {error}")


@contextlib.contextmanager
def _session_of(frozen_graph: str) -> Iterator[Any]:
    """A TensorFlow session on a frozen graph; raises TrainerError when the file cannot be loaded."""
    definition, graph = tf.GraphDef(), tf.Graph()
    try:
        with open(frozen_graph, "rb") as handle:
            definition.ParseFromString(handle.read())
        with graph.as_default():
            tf.import_graph_def(definition, name="")
    except Exception as error:  # noqa: BLE001 - a damaged graph raises anything, from protobuf or TensorFlow
        raise TrainerError("crash", "FrozenGraphUnusable", f"The frozen graph cannot be loaded: {error}")
    with contextlib.closing(tf.Session(graph=graph)) as session:
        yield session


@contextlib.contextmanager
def _decoder() -> Iterator[Callable[[bytes], Any]]:
    """Decodes images as training's evaluation does: another JPEG decoder moved mAP from 0.641 to 0.647."""
    graph = tf.Graph()
    with graph.as_default():
        encoded = tf.placeholder(tf.string)
        pixels = tf.image.decode_image(encoded, channels=3)
    with contextlib.closing(tf.Session(graph=graph)) as session:
        yield lambda data: session.run(pixels, {encoded: data})


def _detect(session: Any, pixels: Any) -> List[Tuple[int, float, List[float]]]:
    """Detections in an image, as (class id, score, box)."""
    values = session.run([name + ":0" for name in OUTPUTS], feed_dict={"image_tensor:0": pixels[None]})
    count = int(values[0][0])
    boxes, scores, classes = (value[0][:count] for value in values[1:])
    return [
        (int(class_id), float(score), [float(coordinate) for coordinate in box])
        for class_id, score, box in zip(classes, scores, boxes)
    ]
