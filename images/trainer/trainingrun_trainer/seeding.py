"""Makes a training repeatable: the same seed gives the same initial weights, order of images and augmentation.

Invariant: without a seed, nothing differs from the API. On CPUs, a seed repeats every number. A GPU adds up in an order
of its own, so there images are still prepared in parallel, and which one is flipped depends on timing.
"""

import functools
import random
from typing import Any, Dict, Optional

import numpy
import tensorflow as tf
from object_detection import inputs
from object_detection.builders import dataset_builder

SEEDS = 1 << 31
PREFETCHED_BATCHES = 2


def seed_everything(spec: Dict[str, Any]) -> Optional[int]:
    """Seed Python and numpy; returns the seed for TensorFlow, None for numbers that differ from run to run.

    A training that resumes does not see the images of its beginning again: its seed depends on the step.
    """
    if spec.get("seed") is None:
        return None
    seed: int = (spec["seed"] + spec["resumedFromStep"]) % SEEDS
    random.seed(seed)
    numpy.random.seed(seed)
    if not spec["gpus"]:
        inputs.INPUT_BUILDER_UTIL_MAP["dataset_build"] = functools.partial(_build_in_order, seed)
    return seed


def _build_in_order(
    seed: int, config: Any, batch_size: Optional[int] = None, transform_input_data_fn: Any = None
) -> Any:
    """As the API's dataset_builder.build, but one image is prepared after the other: they share random numbers."""

    def seeded(tensors: Any) -> Any:
        tf.set_random_seed(seed)  # a function of a data set is a graph of its own, which has no seed yet
        return transform_input_data_fn(tensors) if transform_input_data_fn else tensors

    serial = type(config)()
    serial.CopyFrom(config)
    serial.num_parallel_map_calls = 1
    images = dataset_builder.build(serial, None, seeded)
    if not batch_size:
        return images
    return images.apply(tf.contrib.data.batch_and_drop_remainder(batch_size)).prefetch(PREFETCHED_BATCHES)
