"""Encode one image and its boxes as a tf.train.Example of the Object Detection API.

Invariant: lists of one image have one length; label and text come from the same table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trainingrun_agent.prep.image.images import Picture
from trainingrun_agent.prep.model.annotation import LabelledObject
from trainingrun_agent.prep.output.example import bytes_feature, encode, float_feature, int_feature, texts_feature


def record(
    picture: Picture,
    boxes: Sequence[LabelledObject],
    *,
    name: str,
    labelled_size: tuple[int, int],
    ids: Mapping[str, int],
    sha256: str,
) -> bytes:
    """Serialised Example; boxes are in pixels of `labelled_size` (width, height), ids by class from 1.

    `sha256` is the picture's, in hex.
    """
    width, height = labelled_size
    encoded_name = name.encode()
    names = [box.name for box in boxes]
    return encode(
        {
            "image/encoded": bytes_feature([picture.data]),
            "image/filename": bytes_feature([encoded_name]),
            "image/format": bytes_feature([b"jpeg"]),
            "image/height": int_feature([picture.height]),
            "image/key/sha256": bytes_feature([sha256.encode()]),
            "image/object/bbox/xmax": float_feature([box.xmax / width for box in boxes]),
            "image/object/bbox/xmin": float_feature([box.xmin / width for box in boxes]),
            "image/object/bbox/ymax": float_feature([box.ymax / height for box in boxes]),
            "image/object/bbox/ymin": float_feature([box.ymin / height for box in boxes]),
            "image/object/class/label": int_feature([ids[name] for name in names]),
            "image/object/class/text": texts_feature(names),
            "image/object/difficult": int_feature([box.difficult for box in boxes]),
            "image/object/truncated": int_feature([box.truncated for box in boxes]),
            "image/object/view": texts_feature([box.view for box in boxes]),
            "image/source_id": bytes_feature([encoded_name]),
            "image/width": int_feature([picture.width]),
        }
    )
