"""Apply preprocessing steps with the Object Detection API; the trainer's interpreter runs `api_augmentation.py FOLDER`.

FOLDER holds `<step>.config` files, each a TrainEvalPipelineConfig. Each step is applied to random images of three
shapes; `augmented.json` gets, by step, what went wrong, empty if nothing did.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from object_detection.builders import preprocessor_builder
from object_detection.core import preprocessor
from object_detection.core import standard_fields as fields
from object_detection.protos import pipeline_pb2

SHAPES = ((160, 120), (64, 300), (33, 33))
REPEATS = 10


def main(folder: Path) -> None:
    """Write augmented.json."""
    found = {path.stem: problem(path.read_text()) for path in sorted(folder.glob("*.config"))}
    (folder / "augmented.json").write_text(json.dumps(found))


def problem(config: str) -> str:
    """Say why a step cannot be used; empty if it can."""
    pipeline = text_format.Parse(config, pipeline_pb2.TrainEvalPipelineConfig())
    steps = [preprocessor_builder.build(step) for step in pipeline.train_config.data_augmentation_options]
    try:
        for shape in SHAPES:
            run(steps, shape)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    return ""


def run(steps: list, shape: tuple) -> None:
    """Apply steps to images of one shape. Raises ValueError for a result that training could not use."""
    height, width = shape
    with tf.Graph().as_default(), tf.Session() as session:
        names = fields.InputDataFields
        tensors = {
            names.image: tf.constant(np.random.uniform(0, 255, (1, height, width, 3)).astype(np.float32)),
            names.groundtruth_boxes: tf.constant([[0.1, 0.2, 0.6, 0.7], [0.4, 0.4, 0.9, 0.95]]),
            names.groundtruth_classes: tf.constant([1, 2], dtype=tf.float32),
            names.groundtruth_weights: tf.constant([1.0, 1.0]),
        }
        made = preprocessor.preprocess(
            tensors, steps, func_arg_map=preprocessor.get_default_func_arg_map(include_label_weights=True)
        )
        for _ in range(REPEATS):
            image, boxes, classes = session.run(
                [made[name] for name in (names.image, names.groundtruth_boxes, names.groundtruth_classes)]
            )
            if len(boxes) != len(classes) or image.shape[3] != 3 or min(image.shape[1:3]) < 1:
                raise ValueError(f"image {image.shape}, {len(boxes)} boxes, {len(classes)} classes")
            if not np.isfinite(image).all() or (len(boxes) and (boxes.min() < -0.01 or boxes.max() > 1.01)):
                raise ValueError(f"boxes from {boxes.min():g} to {boxes.max():g}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
