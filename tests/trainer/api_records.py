"""Write and read records with the Object Detection API; run by the trainer's interpreter as `api_records.py FOLDER`.

FOLDER holds a VOC tree in `voc/`, `label_map.pbtxt`, and records of preparation in `ours/`. The API's converter writes
the tree to `theirs/`; then its decoder reads both, and `decoded.json` gets the result: by set, by image/filename,
by tensor its type, shape and values, and the features as they are in the record.
"""

import base64
import json
import sys
import types
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import tensorflow as tf

# The API needs lxml only to parse files, which is done here, and the trainer's image does not have it.
sys.modules["lxml"] = types.ModuleType("lxml")
sys.modules["lxml"].etree = ET

from object_detection.data_decoders.tf_example_decoder import TfExampleDecoder  # noqa: E402
from object_detection.dataset_tools.create_pascal_tf_record import dict_to_tf_example  # noqa: E402
from object_detection.utils import dataset_util, label_map_util  # noqa: E402


def convert(folder: Path) -> None:
    """Write the VOC tree as the API does."""
    ids = label_map_util.get_label_map_dict(str(folder / "label_map.pbtxt"))
    (folder / "theirs").mkdir()
    with tf.python_io.TFRecordWriter(str(folder / "theirs" / "0.tfrecord")) as writer:
        for path in sorted((folder / "voc" / "Annotations").iterdir()):
            root = ET.fromstring(path.read_bytes())  # noqa: S314 - written by the test
            data = dataset_util.recursive_parse_xml_to_dict(root)["annotation"]
            writer.write(dict_to_tf_example({**data, "folder": "voc"}, str(folder), ids).SerializeToString())


def decode(records: list, label_map: str) -> dict:
    """Decode each record with the API; returns tensors and features by filename."""
    serialized = tf.placeholder(tf.string, shape=[])
    tensors = TfExampleDecoder(label_map_proto_file=label_map).decode(serialized)
    found = {}
    with tf.Session() as session:
        session.run(tf.tables_initializer())
        for record in records:
            values = {name: plain(value) for name, value in session.run(tensors, {serialized: record}).items()}
            features = tf.train.Example.FromString(record).features.feature
            found[features["image/filename"].bytes_list.value[0].decode()] = {
                "tensors": values,
                "features": {name: base64.b64encode(features[name].SerializeToString()).decode() for name in features},
            }
    return found


def plain(value: Any) -> dict:
    """Type, shape and content of a tensor: texts as they are, numbers by their bytes."""
    array = np.asarray(value)
    texts = array.dtype.kind in "OS"
    data = [one.decode() for one in array.ravel()] if texts else base64.b64encode(array.tobytes()).decode()
    return {"type": "string" if texts else str(array.dtype), "shape": list(array.shape), "data": data}


def read(folder: Path) -> list:
    """The records in the files of a folder; TensorFlow verifies both checksums of each."""
    return [record for path in sorted(folder.iterdir()) for record in tf.python_io.tf_record_iterator(str(path))]


def refusals(folder: Path) -> dict:
    """Invert single bytes of the first record; returns by position whether TensorFlow refuses the file."""
    whole = next(iter(sorted((folder / "ours").iterdir()))).read_bytes()
    length = int.from_bytes(whole[:8], "little")
    refused = {}
    for at in (8, 11, 12, 11 + length, 12 + length, 15 + length):
        path = folder / "damaged.tfrecord"
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            list(tf.python_io.tf_record_iterator(str(path)))
        except tf.errors.DataLossError:
            refused[at] = True
        else:
            refused[at] = False
    return refused


def main(folder: Path) -> None:
    """Convert the records, decode them, and write what they hold."""
    convert(folder)
    label_map = str(folder / "label_map.pbtxt")
    decoded = {name: decode(read(folder / name), label_map) for name in ("ours", "theirs")}
    (folder / "decoded.json").write_text(json.dumps({**decoded, "refused": refusals(folder)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
