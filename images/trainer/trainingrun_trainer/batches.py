"""What is done to every training batch: boxes get the weight of their class, and the names of its images can be found.

The API's input function passes on no names, only a hash of each. Names are looked up in the records when a message
needs them.

Invariant: labels keep their shapes and types; a message never fails for want of names.
"""

import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set

import tensorflow as tf
from object_detection import inputs
from object_detection.core import standard_fields

from trainingrun_trainer import records
from trainingrun_trainer.shared_folder import ProgressWriter

HASHES = "trainingrun/hashes_of_images"
"""Collection of the graph: the hashes of the names of the images in the batch."""
LOOKUP_SECONDS = 120.0
LOOKUP_IMAGES = 256
MAX_NAME = 80
MAX_LIST = 300
_FIELDS = standard_fields.InputDataFields


def model_fn_creator(create: Callable[..., Any], class_weights: Optional[Sequence[float]]) -> Callable[..., Any]:
    """A creator of the model function, for model_lib, that also does what this module is for."""

    def create_with_batches(*arguments: Any) -> Any:
        model_fn = create(*arguments)

        def with_batch(features: Any, labels: Any, mode: Any, params: Any = None) -> Any:
            tf.add_to_collection(HASHES, features[inputs.HASH_KEY])
            if class_weights:
                labels = _weighted(labels, class_weights)
            return model_fn(features, labels, mode, params)

        return with_batch

    return create_with_batches


def _weighted(labels: Dict[str, Any], class_weights: Sequence[float]) -> Dict[str, Any]:
    """The labels with the weight of every box multiplied by that of its class, which is one-hot."""
    of_class = tf.constant(list(class_weights), dtype=tf.float32)
    factors = tf.reduce_max(labels[_FIELDS.groundtruth_classes] * of_class, axis=-1)
    return dict(labels, **{_FIELDS.groundtruth_weights: labels[_FIELDS.groundtruth_weights] * factors})


class BatchNames:
    """Finds the names of images by their hashes in the records of a training."""

    def __init__(self, paths: Sequence[str], progress: ProgressWriter) -> None:
        self._paths, self._progress = paths, progress

    def in_words(self, hashes: Sequence[int]) -> str:
        """The names, as a list of bounded length; empty when none is found in time."""
        found = self._find(set(hashes))
        names = sorted({found[one] for one in hashes if one in found})
        shown: List[str] = []
        for name in names:
            short = name if len(name) <= MAX_NAME else "…" + name[1 - MAX_NAME :]
            if sum(map(len, shown)) + 2 * len(shown) + len(short) > MAX_LIST:
                break
            shown.append(short)
        more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
        return ", ".join(shown) + more

    def _find(self, wanted: Set[int]) -> Dict[int, str]:
        found: Dict[int, str] = {}
        deadline = time.monotonic() + LOOKUP_SECONDS
        for names in self._chunks():
            hashed = zip(_hashes(names), names)
            found.update((one, name.decode("utf-8", "replace")) for one, name in hashed if one in wanted)
            self._progress.advance()
            if len(found) == len(wanted) or time.monotonic() > deadline:
                break
        return found

    def _chunks(self) -> Iterator[List[bytes]]:
        chunk: List[bytes] = []
        for name in records.source_ids(self._paths):
            chunk.append(name)
            if len(chunk) == LOOKUP_IMAGES:
                yield chunk
                chunk = []
        if chunk:
            yield chunk


def _hashes(names: List[bytes]) -> List[int]:
    """The hashes as the API's input function computes them."""
    with tf.Graph().as_default(), tf.Session(config=tf.ConfigProto(device_count={"GPU": 0})) as session:
        hashed = tf.string_to_hash_bucket_fast(tf.constant(names), inputs.HASH_BINS)
        return [int(one) for one in session.run(tf.cast(hashed, tf.int32))]
