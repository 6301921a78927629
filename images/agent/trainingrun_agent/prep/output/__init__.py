"""Files that preparation writes: formats (tf.train.Example, TFRecord, label map, CSV) and scratch files."""
