"""Print how fast the API reads records for training: `input_images_per_second.py CONFIG LABEL_MAP RECORD...`.

Runs in the trainer's interpreter. It builds the input function of the Object Detection API, which decodes, augments
and scales to the network's input, takes batches for some seconds, and prints the images per second.
"""

import sys
import time
from pathlib import Path

import tensorflow as tf
from google.protobuf import text_format
from object_detection import inputs
from object_detection.protos import pipeline_pb2

WARM_UP_BATCHES = 16
"""More than are decoded at once, so that the timed ones are decoded in the timed seconds."""
SECONDS = 5.0


def main(config_path: str, label_map: str, *records: str) -> None:
    """Print the speed."""
    tf.logging.set_verbosity(tf.logging.ERROR)
    config = pipeline_pb2.TrainEvalPipelineConfig()
    text_format.Merge(Path(config_path).read_text(), config)
    reader = config.train_input_reader
    reader.label_map_path = label_map
    del reader.tf_record_input_reader.input_path[:]
    reader.tf_record_input_reader.input_path.extend(records)
    dataset = inputs.create_train_input_fn(config.train_config, reader, config.model)()
    iterator = tf.compat.v1.data.make_initializable_iterator(dataset)
    batch = iterator.get_next()[0]["image"]
    with tf.Session() as session:
        session.run([iterator.initializer, tf.tables_initializer()])
        for _ in range(WARM_UP_BATCHES):
            session.run(batch)
        images, started = 0, time.monotonic()
        while time.monotonic() - started < SECONDS:
            images += len(session.run(batch))
        print(images / (time.monotonic() - started))


if __name__ == "__main__":
    main(*sys.argv[1:])
