"""Reading local images in the process that checks them.

It saves passing all bytes from one process to another. Unlike a bucket, local files need no credentials, and a worker
could always open them. The same code as in the main process decides what is read, and what cannot be.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.sharding.job import FetchedImage, LocalImage, SentImage
from trainingrun_agent.prep.source.fetch import Unread
from trainingrun_agent.prep.source.image_labels import ImageLabels

READS_AT_ONCE = 16
SLOW = 0.002
"""Seconds to read an image above which several are read at once: on a network drive each waits for its server."""


class LocalReading:
    """Reads what a worker was sent unread; once reading was slow, in several threads."""

    _slow = False

    def read(self, images: Sequence[SentImage]) -> list[FetchedImage]:
        """The images with their labels, or why they cannot be used. Raises what storage raises."""
        if self._slow:
            with ThreadPoolExecutor(READS_AT_ONCE, "read") as threads:
                return list(threads.map(_read, images))
        started = time.monotonic()
        found = list(map(_read, images))
        self._slow = time.monotonic() - started > SLOW * len(images)
        return found


def _read(sent: SentImage) -> FetchedImage:
    if isinstance(sent, FetchedImage):
        return sent
    labels: ImageLabels
    try:
        labels = sent.labels.read()
    except UnusableError as problem:
        labels = problem
    return FetchedImage(sent.place, _bytes_of(sent), labels)


def _bytes_of(sent: LocalImage) -> bytes | UnusableError:
    try:
        return sent.image.read() if isinstance(sent.image, Unread) else sent.image
    except UnusableError as problem:
        return problem
