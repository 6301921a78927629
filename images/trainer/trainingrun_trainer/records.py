"""Read evaluation examples back from TFRecords: encoded image and ground truth, as plain Python values."""

import random

import tensorflow as tf


class Example(object):
    """One image: JPEG or PNG bytes, boxes as [ymin, xmin, ymax, xmax] in 0..1, class ids from 1, difficult flags."""

    def __init__(self, record):
        # type: (bytes) -> None
        feature = tf.train.Example.FromString(record).features.feature
        self.name = feature["image/source_id"].bytes_list.value[0].decode("utf-8", "replace")
        self.encoded = feature["image/encoded"].bytes_list.value[0]
        corners = [
            feature["image/object/bbox/{}".format(side)].float_list.value for side in ("ymin", "xmin", "ymax", "xmax")
        ]
        self.boxes = [list(box) for box in zip(*corners)]
        self.classes = list(feature["image/object/class/label"].int64_list.value)


def sample(paths, limit, seed=0):
    # type: (list, int, int) -> list
    """At most `limit` examples, drawn evenly with a seed, in the order of the records; needs memory for these only."""
    total = sum(1 for path in paths for _ in tf.python_io.tf_record_iterator(path))
    chosen = set(random.Random(seed).sample(range(total), min(limit, total)))  # noqa: S311 - no secret
    found, number = [], 0
    for path in paths:
        for record in tf.python_io.tf_record_iterator(path):
            if number in chosen:
                found.append(Example(record))
            number += 1
    return found
