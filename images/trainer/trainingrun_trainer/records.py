"""Reads evaluation examples from TFRecords: the encoded image and its labelled boxes, as plain Python values."""

import random
from typing import Iterator, List, Sequence

import tensorflow as tf


class Example:
    """One image: JPEG or PNG bytes, boxes as [ymin, xmin, ymax, xmax] in 0..1, class ids from 1."""

    def __init__(self, record: bytes) -> None:
        feature = tf.train.Example.FromString(record).features.feature
        self.name = feature["image/source_id"].bytes_list.value[0].decode("utf-8", "replace")
        self.encoded = feature["image/encoded"].bytes_list.value[0]
        coordinates = [
            feature[f"image/object/bbox/{name}"].float_list.value for name in ("ymin", "xmin", "ymax", "xmax")
        ]
        self.boxes = [list(box) for box in zip(*coordinates)]
        self.classes = list(feature["image/object/class/label"].int64_list.value)


def sample_examples(paths: Sequence[str], limit: int, seed: int = 0) -> List[Example]:
    """Draw at most `limit` examples at random with a seed; keeps the order of the records and holds no others."""
    total = sum(1 for path in paths for _ in tf.python_io.tf_record_iterator(path))
    chosen = set(random.Random(seed).sample(range(total), min(limit, total)))  # noqa: S311 - not for security
    examples, number = [], 0
    for path in paths:
        for record in tf.python_io.tf_record_iterator(path):
            if number in chosen:
                examples.append(Example(record))
            number += 1
    return examples


def source_ids(paths: Sequence[str]) -> Iterator[bytes]:
    """The names of all images that have one, in the order of the records."""
    for path in paths:
        for record in tf.python_io.tf_record_iterator(path):
            feature = tf.train.Example.FromString(record).features.feature
            yield from feature["image/source_id"].bytes_list.value[:1]
