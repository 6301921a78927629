"""The input readers of a pipeline.config: how many records the trainer holds in memory.

Invariant: the bytes of all records that wait for training are bounded, however large images are.
"""

from __future__ import annotations

from typing import Final

PLACEHOLDER: Final = "set-by-the-trainer"
MAX_SHUFFLED: Final = 2048
"""Records in the shuffle buffer: more do not mix small images better."""
MAX_SHUFFLED_BYTES: Final = 256 << 20
MIN_SHUFFLED: Final = 16
NUM_READERS: Final = 4
"""Three files are open for each reader, with 8 MB of each in memory. Of 1280 records of 200 kB in 32 files, the API's
default of 64 readers held 1.2 GB, four hold 0.2 GB, and read faster than any network trains. Records are mixed all the
same: which file an image is in depends on nothing that is seen in it."""
BLOCK_LENGTH: Final = 4
"""Records that are read from a file in a row; twice as many wait for each open file."""


def readers(*, shuffle_buffer: int, boxes: int) -> str:
    """Proto text of the readers and of eval_config."""
    source = f'label_map_path: "{PLACEHOLDER}" tf_record_input_reader {{ input_path: "{PLACEHOLDER}" }}'
    return (
        f"train_input_reader {{ {source} shuffle: true shuffle_buffer_size: {shuffle_buffer} "
        f"num_readers: {NUM_READERS} read_block_length: {BLOCK_LENGTH} max_number_of_boxes: {boxes} }}\n"
        f"eval_input_reader {{ {source} shuffle: false num_epochs: 1 num_readers: 1 max_number_of_boxes: {boxes} }}\n"
        'eval_config { metrics_set: "coco_detection_metrics" use_moving_averages: false num_visualizations: 4 '
        "min_score_threshold: 0.3 }\n"
    )


def shuffled(train_images: int, record_bytes: int) -> int:
    """Number of records in the shuffle buffer; `record_bytes` is the mean size of a train record, 0 if unknown."""
    fitting = MAX_SHUFFLED_BYTES // record_bytes if record_bytes else MAX_SHUFFLED
    return min(MAX_SHUFFLED, train_images, max(MIN_SHUFFLED, fitting))
