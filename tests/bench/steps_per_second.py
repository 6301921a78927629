"""Print the median of the speeds in the event files of a folder, without the first: `steps_per_second.py FOLDER`.

Runs in the trainer's interpreter. TensorFlow writes a speed every 100 steps.
"""

import statistics
import sys
from pathlib import Path

import tensorflow as tf


def main(folder: Path) -> None:
    """Print the median."""
    speeds = [
        value.simple_value
        for path in folder.glob("events.*")
        for event in tf.train.summary_iterator(str(path))
        for value in event.summary.value
        if value.tag == "global_step/sec"
    ]
    print(statistics.median(speeds[1:]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
