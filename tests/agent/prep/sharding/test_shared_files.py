"""Large images that a worker gets in shared memory."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainingrun_agent.errors import DiskFull
from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.codes.image_files import IMAGE_EMPTY
from trainingrun_agent.prep.sharding import shared_files
from trainingrun_agent.prep.sharding.job import FetchedImage
from trainingrun_agent.prep.sharding.shared_files import KEPT, LARGE, SharedFiles, SharedImage, taken
from trainingrun_agent.prep.source.readers import Context, LabelFile

LABELS = LabelFile(b"<annotation/>", Context())


@pytest.fixture(params=["in memory", "on disk", "refused"])
def shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SharedFiles]:
    if request.param == "on disk":
        monkeypatch.delattr(shared_files.os, "memfd_create")
    if request.param == "refused":
        monkeypatch.setattr(os, "memfd_create", refused)
    files = SharedFiles(tmp_path)
    assert list(tmp_path.iterdir()) == []  # nothing to clean up after a crash
    yield files
    files.close()


def refused(_: str) -> int:
    raise OSError(errno.ENOSYS, "Function not implemented")


def image(place: int, size: int) -> FetchedImage:
    return FetchedImage(place, os.urandom(size), LABELS)


def test_images_arrive_as_they_were(shared: SharedFiles) -> None:
    batch = [image(0, LARGE), image(1, 10), FetchedImage(2, UnusableError(IMAGE_EMPTY), LABELS), image(3, 3 * LARGE)]
    passed = shared.put(batch)
    assert [isinstance(one, SharedImage) for one in passed] == [True, False, False, True]
    assert taken(passed) == batch


def test_a_batch_stays_while_the_next_one_is_put(shared: SharedFiles) -> None:
    batches = [[image(number, LARGE + number)] for number in range(5)]
    before = shared.put(batches[0])
    for number, batch in enumerate(batches[1:]):
        passed = shared.put(batch)
        assert taken(before) == batches[number]
        before = passed


def test_memory_of_a_large_batch_is_given_back_once_it_is_read(shared: SharedFiles) -> None:
    large = [image(0, KEPT), image(1, LARGE)]
    assert taken(shared.put(large)) == large
    assert [os.fstat(file).st_size for file in shared.descriptors] == [0, 0]
    small = [image(0, LARGE)]
    for _ in range(2):
        assert taken(shared.put(small)) == small
    assert [os.fstat(file).st_size for file in shared.descriptors] == [LARGE, LARGE]


def test_a_full_disk_raises_disk_full(shared: SharedFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shared_files.os, "pwrite", full)
    with pytest.raises(DiskFull):
        shared.put([image(0, LARGE)])


def test_bytes_that_are_missing_raise(shared: SharedFiles) -> None:
    passed = shared.put([image(0, LARGE)])
    os.ftruncate(shared.descriptors[0], 100)
    os.ftruncate(shared.descriptors[1], 100)
    with pytest.raises(EOFError):
        taken(passed)
