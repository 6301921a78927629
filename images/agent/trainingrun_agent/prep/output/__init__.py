"""File formats that preparation writes: tf.train.Example, TFRecord, label map, the tutorial's CSV."""
