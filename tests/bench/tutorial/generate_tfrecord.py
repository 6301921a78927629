"""The tutorial's second step: convert the CSV file and the images into one TFRecord file, in the trainer's interpreter.

Written from the tutorial's description, with no more checks than it has. The tutorial maps an unknown class to None,
which aborts the script; `--unknown 0` is the usual advice for its users.
"""

import argparse
import io
import os
from typing import Any

import pandas as pd
import tensorflow as tf
from object_detection.utils import dataset_util as values
from PIL import Image


def example(name: str, lines: Any, *, folder: str, ids: dict, unknown: Any) -> tf.train.Example:
    """Make the record of one image from its lines of the CSV file."""
    with tf.gfile.GFile(os.path.join(folder, name), "rb") as file:  # noqa: PTH118 - as people wrote it at the time
        data = file.read()
    width, height = Image.open(io.BytesIO(data)).size
    corners = {"xmin": [], "xmax": [], "ymin": [], "ymax": []}
    texts, labels = [], []
    for _, line in lines.iterrows():
        for corner, listed in corners.items():
            listed.append(line[corner] / (width if corner[0] == "x" else height))
        texts.append(line["class"].encode("utf8"))
        labels.append(ids.get(line["class"], unknown))
    features = {
        "image/height": values.int64_feature(height),
        "image/width": values.int64_feature(width),
        "image/filename": values.bytes_feature(name.encode("utf8")),
        "image/source_id": values.bytes_feature(name.encode("utf8")),
        "image/encoded": values.bytes_feature(data),
        "image/format": values.bytes_feature(b"jpg"),
        "image/object/class/text": values.bytes_list_feature(texts),
        "image/object/class/label": values.int64_list_feature(labels),
    }
    for corner, listed in corners.items():
        features["image/object/bbox/" + corner] = values.float_list_feature(listed)
    return tf.train.Example(features=tf.train.Features(feature=features))


def main() -> None:
    """Convert one CSV file; print the number of records written."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--labels", required=True, help="class names, separated by commas")
    parser.add_argument("--csv_input", required=True)
    parser.add_argument("--img_path", required=True)
    parser.add_argument("--output_path", required=True)
    parser.add_argument("--unknown", type=int)
    arguments = parser.parse_args()
    ids = {name: number for number, name in enumerate(arguments.labels.split(","), start=1)}
    count = 0
    with tf.python_io.TFRecordWriter(arguments.output_path) as writer:
        groups = pd.read_csv(arguments.csv_input).groupby("filename")
        for name in groups.groups:
            lines = groups.get_group(name)
            made = example(name, lines, folder=arguments.img_path, ids=ids, unknown=arguments.unknown)
            writer.write(made.SerializeToString())
            count += 1
    print(count)


if __name__ == "__main__":
    main()
