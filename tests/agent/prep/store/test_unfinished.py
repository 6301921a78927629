"""A preparation that was interrupted goes on at the shard where it was, and the data set is the same byte by byte."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memory_store import MemoryStore
from prep_in_memory import Preparation
from trainingrun_agent.clock import Clock
from trainingrun_agent.errors import Interrupted, StorageOutage, StorageRefused
from trainingrun_agent.keys import BucketKeys
from trainingrun_agent.prep.split import shards
from trainingrun_agent.prep.store import unfinished
from trainingrun_agent.prune import survey
from trainingrun_agent.reasons.storage import ACCESS_DENIED, ENDPOINT_UNREACHABLE
from voc_data import jpeg, labelled, voc

TRAIN, EVAL = 7, 1
NEVER = 1 << 30
INTERVAL = unfinished.INTERVAL_SECONDS
CALL = {"call": "PutObject", "where": "s3://x/y", "answer": "no"}


class FixedClock(Clock):
    """A clock that stands still, so that equal data sets are equal objects."""

    def now(self) -> datetime:
        return datetime(2026, 1, 31, 12, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


class KilledError(Exception):
    """A dead process calls nothing."""


class Store(MemoryStore):
    """A bucket in memory, for one process: from call `last` on, `then` is called before every read and write."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__()
        self.objects = objects
        self.calls, self.last = 0, NEVER
        self.then: Callable[[str], object] = kill
        self.images: list[str] = []

    def get(self, key: str, *, max_bytes: int, etag: str = "") -> bytes:
        self._call(key)
        if key.endswith(".jpg"):
            self.images.append(key)
        return super().get(key, max_bytes=max_bytes, etag=etag)

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        self._call(key)
        return super().put(key, data, if_absent=if_absent)

    def delete(self, key: str) -> None:
        self._call(key)
        super().delete(key)

    def _call(self, key: str) -> None:
        self.calls += 1
        if self.calls > self.last:
            self.then(key)


def kill(key: str) -> None:
    raise KilledError(key)


@dataclass
class Attempt:
    """One process that prepares."""

    store: Store
    prep: Preparation

    def run(self) -> None:
        self.prep.run()

    @property
    def saved(self) -> int:
        """How many images it reports as saved."""
        return int(self.prep.progress.snapshot().get("savedImages", 0))


@dataclass
class Bucket:
    """A bucket with images, and the processes that prepare them."""

    scratch: Path
    objects: dict[str, bytes]

    def attempt(self, *, last: int = NEVER, then: Callable[[str], object] = kill) -> Attempt:
        """A process for which `then` is called after its `last` call; by default it is dead then."""
        store = Store(self.objects)
        store.last, store.then = last, then
        prep = Preparation(self.scratch, memory=store, clock=FixedClock())
        prep.max_bad_files = "2"
        return Attempt(store, prep)

    def interrupt(self, last: int) -> Attempt:
        """Run a process that gets SIGTERM after so many calls: then no image is read any more."""
        attempt = self.attempt(last=last)

        def stop(key: str) -> None:
            attempt.prep.stop.set()
            if key.endswith(".jpg"):
                raise Interrupted

        attempt.store.then = stop
        with pytest.raises(Interrupted):
            attempt.run()
        return attempt

    def copy(self) -> Bucket:
        return Bucket(self.scratch, dict(self.objects))

    @property
    def lists(self) -> list[str]:
        return [key for key in self.objects if "/unfinished/" in key]

    @property
    def listed(self) -> set[str]:
        """The rows of the shards in the list of the unfinished preparation."""
        found = [json.loads(self.objects[key])["shards"] for key in self.lists]
        shards = [shard for splits in found for split in splits.values() for shard in split if shard is not None]
        return {rows["key"] for _, rows in shards}

    @property
    def stored(self) -> set[str]:
        """The rows of all shards in the bucket."""
        return {key.removeprefix("ml/") for key in self.objects if key.endswith(".rows.gz")}


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Images in four shards and one; some have findings, one is damaged, two are equal. Shards are listed at once."""
    prep = Preparation(tmp_path)
    for number in range(TRAIN):
        prep.add(f"image {number}", xml=voc([labelled(), labelled(box=(-5, 1, 50, 60))]) if number % 3 == 0 else None)
    prep.add("image 1", jpeg(seed="train/image 2"))
    prep.add("image 4", jpeg(seed="bad")[:-2])
    size = sum(len(data) for key, data in prep.memory.objects.items() if key.endswith(".jpg"))
    for number in range(EVAL):
        prep.add(f"image {number}", split="eval")
    monkeypatch.setattr(shards, "TARGET_BYTES", size // 3)
    monkeypatch.setattr(unfinished, "INTERVAL_SECONDS", 0.0)
    # The report reads some images again.
    monkeypatch.setattr("trainingrun_agent.prep.prepare.gallery", lambda *_, **__: ())
    return Bucket(tmp_path, prep.memory.objects)


@dataclass
class Uninterrupted:
    """The bucket after a preparation that nothing interrupted, and how many calls that made."""

    objects: dict[str, bytes]
    calls: int


@pytest.fixture
def uninterrupted(bucket: Bucket) -> Uninterrupted:
    made = bucket.copy()
    attempt = made.attempt()
    attempt.run()
    return Uninterrupted(made.objects, attempt.store.calls)


def assert_goes_on(bucket: Bucket, first: Attempt, expected: dict[str, bytes]) -> None:
    """The next attempt leaves what an uninterrupted one leaves, and reads no image again that was saved."""
    images = {key for key in bucket.objects if key.endswith(".jpg")}
    second = bucket.attempt()
    second.run()
    assert bucket.objects == expected
    assert set(first.store.images + second.store.images) == images
    assert len(second.store.images) == len(images) - first.saved
    assert second.saved == len(images)


def test_a_killed_preparation_goes_on_where_it_was(bucket: Bucket, uninterrupted: Uninterrupted) -> None:
    last, before = 0, 0
    while True:
        made = bucket.copy()
        killed = made.attempt(last=last)
        with pytest.raises(KilledError):
            killed.run()
        if not made.lists and killed.saved:
            break  # the list of the whole data set is there
        assert_goes_on(made, killed, uninterrupted.objects)
        last, before = last + 1, killed.saved
    assert before == TRAIN + EVAL


def test_sigterm_loses_no_shard_that_is_stored(
    bucket: Bucket, uninterrupted: Uninterrupted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "INTERVAL_SECONDS", INTERVAL)
    for last in range(0, uninterrupted.calls, 3):
        made = bucket.copy()
        stopped = made.interrupt(last)
        if stopped.saved == TRAIN + EVAL:
            break
        assert made.listed == made.stored
        assert_goes_on(made, stopped, uninterrupted.objects)
    assert last > uninterrupted.calls // 2


def test_an_attempt_that_ends_at_once_loses_nothing_of_the_one_before(
    bucket: Bucket, uninterrupted: Uninterrupted
) -> None:
    first = bucket.interrupt(uninterrupted.calls // 2)
    listed = bucket.listed
    assert len(listed) > 1
    second = bucket.interrupt(0)
    assert (bucket.listed, second.saved) == (listed, first.saved)
    assert_goes_on(bucket, first, uninterrupted.objects)


def test_images_that_changed_between_two_attempts_are_checked_again(
    bucket: Bucket, uninterrupted: Uninterrupted
) -> None:
    stopped = bucket.interrupt(uninterrupted.calls // 2)
    assert stopped.store.images
    changed = stopped.store.images[0]
    bucket.objects[changed] = jpeg(seed="changed")
    fresh = Bucket(bucket.scratch, {key: data for key, data in bucket.objects.items() if not key.startswith("ml/")})
    second = bucket.attempt()
    second.run()
    fresh.attempt().run()
    assert changed in second.store.images
    assert len(second.store.images) < TRAIN + EVAL
    assert {key: bucket.objects.get(key) for key in fresh.objects} == fresh.objects


def test_two_preparations_at_once_do_not_disturb_each_other(bucket: Bucket, uninterrupted: Uninterrupted) -> None:
    for last in range(5, uninterrupted.calls, 7):
        made = bucket.copy()
        first = made.attempt(last=last)

        def run_another(_: str, first: Attempt = first, made: Bucket = made) -> None:
            first.store.last = NEVER
            made.attempt().run()

        first.store.then = run_another
        first.run()
        assert made.objects == uninterrupted.objects


def other_bytes(bucket: Bucket) -> None:
    for key in [key for key in bucket.objects if key.endswith(".rows.gz")]:
        bucket.objects[key] = bytes(len(bucket.objects[key]))


def gone(bucket: Bucket) -> None:
    for key in [key for key in bucket.objects if key.endswith(".tfrecord")]:
        del bucket.objects[key]


def no_list(bucket: Bucket) -> None:
    bucket.objects[bucket.lists[0]] = b'{"formatVersion": 1, "shards": {"train": [[], 0, "x", [1, 2]]}}'


def strange_places(bucket: Bucket) -> None:
    text = bucket.objects[bucket.lists[0]].decode().replace("datasets/blobs/", "datasets/latest/")
    bucket.objects[bucket.lists[0]] = text.encode()


def changed_entries(change: Callable[[list[Any]], object]) -> Callable[[Bucket], None]:
    """A list whose shards of a split are changed; objects are described as in a manifest."""

    def spoil(bucket: Bucket) -> None:
        document = json.loads(bucket.objects[bucket.lists[0]])
        for shards_of_split in document["shards"].values():
            change([shard for shard in shards_of_split if shard is not None])
        bucket.objects[bucket.lists[0]] = json.dumps(document).encode()

    return spoil


def all_records(**fields: Any) -> Callable[[list[Any]], object]:
    return lambda shards: [shard[0].update(fields) for shard in shards]


HOSTILE_ENTRIES = {
    "no images": all_records(images=None),
    "less than none": all_records(images=-1),
    "images are text": all_records(images="many"),
    "images are a list": all_records(images=[1]),
    "another role": all_records(role="evalRecords"),
    "a role that is a number": all_records(role=5),
    "a key that leads out": all_records(key="datasets/../../x"),
    "a key that is a list": all_records(key=[]),
    "no size": all_records(size=2**70),
    "objects that are texts": lambda shards: [shard.__setitem__(slice(None), "ab") for shard in shards],
    "all the same": lambda shards: [shard.__setitem__(slice(None), shards[0]) for shard in shards],
}


@pytest.mark.parametrize("change", HOSTILE_ENTRIES.values(), ids=HOSTILE_ENTRIES)
def test_a_list_that_somebody_else_wrote_breaks_nothing(
    bucket: Bucket, uninterrupted: Uninterrupted, change: Callable[[list[Any]], object]
) -> None:
    """It is in the bucket, where others may write."""
    bucket.interrupt(uninterrupted.calls // 2)
    changed_entries(change)(bucket)
    bucket.attempt().run()
    left = {key: data for key, data in bucket.objects.items() if "/damaged/" not in key}
    assert left == uninterrupted.objects


@pytest.mark.parametrize("spoil", [other_bytes, gone, no_list, strange_places])
def test_what_an_interrupted_preparation_left_is_verified(
    bucket: Bucket, uninterrupted: Uninterrupted, spoil: Callable[[Bucket], None]
) -> None:
    bucket.interrupt(uninterrupted.calls // 2)
    assert bucket.listed
    spoil(bucket)
    bucket.attempt().run()
    left = {key: data for key, data in bucket.objects.items() if "/damaged/" not in key}
    assert left == uninterrupted.objects


def test_prune_finds_the_list_of_a_preparation_that_did_not_end(bucket: Bucket, uninterrupted: Uninterrupted) -> None:
    stopped = bucket.interrupt(uninterrupted.calls // 2)
    found = survey(stopped.store, BucketKeys("ml"), stop=threading.Event())
    assert [info.key for info in found.unfinished] == bucket.lists
    assert found.pointers == []


def test_a_short_preparation_writes_no_list(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "INTERVAL_SECONDS", INTERVAL)
    attempt = bucket.attempt()
    attempt.run()
    assert not [key for key in attempt.store.puts if "/unfinished/" in key]


@pytest.mark.parametrize("error", [StorageRefused(ACCESS_DENIED, **CALL), StorageOutage(ENDPOINT_UNREACHABLE, **CALL)])
def test_a_list_that_cannot_be_written_or_removed_ends_nothing(
    bucket: Bucket, uninterrupted: Uninterrupted, error: Exception
) -> None:
    attempt = bucket.attempt(last=0)

    def refuse(key: str) -> None:
        if "/unfinished/" in key and attempt.store.calls > 10:
            raise error

    attempt.store.then = refuse
    attempt.run()
    assert {key: data for key, data in bucket.objects.items() if key not in bucket.lists} == uninterrupted.objects


def test_an_outage_that_ends_the_preparation_is_not_waited_for_again(
    bucket: Bucket, uninterrupted: Uninterrupted, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = bucket.attempt(last=uninterrupted.calls // 2)
    failed: list[str] = []

    def fail(key: str) -> None:
        failed.append(key)
        raise StorageOutage(ENDPOINT_UNREACHABLE, **CALL)

    attempt.store.then = fail
    monkeypatch.setattr(unfinished, "INTERVAL_SECONDS", INTERVAL)
    with pytest.raises(StorageOutage):
        attempt.run()
    assert failed
    assert not [key for key in failed if "/unfinished/" in key]
