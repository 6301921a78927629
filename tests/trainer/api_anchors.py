"""Compute anchors with the Object Detection API; run by the trainer's interpreter as `api_anchors.py FOLDER`.

FOLDER holds `<network>.config` files. Each model is built and run on one square image of its input size; `anchors.json`
gets the result: by network, for each feature map, the cells along a side and the anchors of one cell as
[width, height] in sides of the input.
"""

import json
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf import text_format
from object_detection.builders import model_builder
from object_detection.protos import pipeline_pb2


def main(folder: Path) -> None:
    """Write anchors.json."""
    found = {path.stem: anchors(path.read_text()) for path in sorted(folder.glob("*.config"))}
    (folder / "anchors.json").write_text(json.dumps(found))


def anchors(config: str) -> list:
    """Compute the anchors of one network, for each feature map."""
    pipeline = text_format.Parse(config, pipeline_pb2.TrainEvalPipelineConfig())
    family = pipeline.model.WhichOneof("model")
    with tf.Graph().as_default(), tf.Session() as session:
        model = model_builder.build(pipeline.model, is_training=False)
        tensor, maps, unit = (ssd if family == "ssd" else faster_rcnn)(model, getattr(pipeline.model, family))
        corners = session.run(tensor).tolist()
    found, start = [], 0
    for cells, per_cell in maps:
        sizes = [[(xmax - xmin) / unit, (ymax - ymin) / unit] for ymin, xmin, ymax, xmax in corners[start:][:per_cell]]
        found.append({"cells": cells, "anchors": sizes})
        start += cells * cells * per_cell
    if start != len(corners):
        raise SystemExit(f"{len(corners)} anchors, but {start} by the shapes of the feature maps")
    return found


def ssd(model: Any, config: Any) -> tuple:
    """The anchors' tensor, the maps as (cells, anchors per cell), and the divisor of the coordinates."""
    side = config.image_resizer.fixed_shape_resizer.height
    images = tf.zeros([1, side, side, 3])
    predicted = model.predict(images, tf.constant([[side, side, 3]]))
    cells = [int(one.shape[1]) for one in predicted["feature_maps"]]
    return predicted["anchors"], list(zip(cells, model._anchor_generator.num_anchors_per_location())), 1  # noqa: B905


def faster_rcnn(model: Any, config: Any) -> tuple:
    """Like `ssd`: the anchors of the first stage, before they are clipped to the image."""
    side = config.image_resizer.keep_aspect_ratio_resizer.min_dimension
    _, features, made, _ = model._extract_rpn_feature_maps(tf.zeros([1, side, side, 3]))
    [per_cell] = model._first_stage_anchor_generator.num_anchors_per_location()
    return made.get(), [(int(features.shape[1]), per_cell)], side


if __name__ == "__main__":
    main(Path(sys.argv[1]))
