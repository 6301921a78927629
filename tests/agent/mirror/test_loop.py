"""TensorBoard's local copy while chunks are added, merged and deleted, or cannot be read."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trainingrun_agent.errors import StorageOutage
from trainingrun_agent.keys import Attempt
from trainingrun_agent.mirror import run as run_mirror
from trainingrun_agent.mirror.loop import BUSY_SECONDS, BUSY_TURNS, ERROR_SECONDS, IDLE_SECONDS, Mirror
from trainingrun_agent.reasons.storage import ENDPOINT_UNREACHABLE
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage.base import ObjectInfo, ObjectStore
from trainingrun_agent.verdict import StageResult
from trcluster.waiting import patience

pytestmark = pytest.mark.contract
FILE = "events.out.tfevents.1700000000.host"


class Counting:
    """A store that counts requests, and fails while `down` is set."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.bucket = store.bucket
        self.requests = 0
        self.down = False

    def list(self, prefix: str, **options: Any) -> Iterator[ObjectInfo]:
        self.requests += 1
        if self.down:
            raise StorageOutage(ENDPOINT_UNREACHABLE, call="ListObjectsV2", where="s3://x", answer="nobody answers")
        return self._store.list(prefix, **options)

    def get_range(self, key: str, *, start: int, length: int) -> bytes:
        self.requests += 1
        return self._store.get_range(key, start=start, length=length)


class Setup:
    """A bucket with event chunks, a logdir, and a mirror between them."""

    def __init__(self, run: Any, clock: Any) -> None:
        pod = run.pod("mirror", clock=clock)
        self.clock = clock
        self.prefix = run.prefix
        self.store = pod.out
        self.counting = Counting(self.store)
        self.context = dataclasses.replace(pod, store_for=lambda _: self.counting)
        self.logs = Folder.open(self.context.config.shared)
        self.mirror = self.new_mirror()

    def new_mirror(self) -> Mirror:
        return Mirror(self.context, self.logs)

    def attempt(self, epoch: int = 1) -> Attempt:
        return Attempt(epoch, f"{self.prefix}/train/{epoch:04d}-abcdef0{epoch}")

    def put(self, offset: int, data: bytes, *, epoch: int = 1, folder: str = "train", file: str = FILE) -> None:
        self.store.put(self.attempt(epoch).event_chunk(folder, file, offset), data)

    def delete(self, offset: int, *, epoch: int = 1) -> None:
        self.store.delete(self.attempt(epoch).event_chunk("train", FILE, offset))

    def local(self, *, epoch: int = 1, folder: str = "train") -> Path:
        path: Path = self.context.config.shared / folder / f"{FILE}.epoch{epoch}"
        return path


@pytest.fixture
def setup(run: Any, fake_clock: Any) -> Iterator[Setup]:
    result = Setup(run, fake_clock)
    with result.logs:
        yield result


def test_growth_is_appended_to_the_same_file(setup: Setup) -> None:
    setup.put(0, b"aaaa")
    setup.mirror.turn()
    inode = setup.local().stat().st_ino
    setup.put(4, b"bbbb")
    setup.put(0, b"eval", folder="eval_0")
    setup.mirror.turn()
    assert setup.local().read_bytes() == b"aaaabbbb"
    assert setup.local().stat().st_ino == inode
    assert setup.local(folder="eval_0").read_bytes() == b"eval"


def test_only_contiguous_chunks_are_taken(setup: Setup) -> None:
    setup.put(0, b"aaaa")
    setup.put(6, b"cccc")
    setup.mirror.turn()
    assert setup.local().read_bytes() == b"aaaa"
    setup.put(4, b"bb")
    setup.mirror.turn()
    assert setup.local().read_bytes() == b"aaaabbcccc"


@pytest.mark.parametrize("seen", [0, 1, 2], ids=["nothing seen", "first chunk seen", "both seen"])
def test_compaction_at_any_moment_loses_and_doubles_nothing(setup: Setup, seen: int) -> None:
    for offset in (0, 4)[:seen]:
        setup.put(offset, b"abcdefgh"[offset : offset + 4])
        setup.mirror.turn()
    setup.put(4, b"efgh")
    setup.put(0, b"abcdefghij")
    setup.mirror.turn()
    assert setup.local().read_bytes() == b"abcdefghij"
    setup.delete(4)
    setup.put(10, b"kl")
    setup.mirror.turn()
    assert setup.local().read_bytes() == b"abcdefghijkl"


def test_chunk_deleted_after_it_was_listed_comes_with_the_next_turn(setup: Setup) -> None:
    setup.put(0, b"abcd")
    setup.put(4, b"efgh")
    real = setup.counting.list

    def then_compact(prefix: str, **options: Any) -> Iterator[ObjectInfo]:
        found = [*real(prefix, **options)]
        setup.put(0, b"abcdefgh")
        setup.delete(4)
        return iter(found)

    setup.counting.list = then_compact  # type: ignore[method-assign]
    setup.mirror.turn()
    assert setup.local().read_bytes() == b"abcd"
    setup.counting.list = real  # type: ignore[method-assign]
    setup.mirror.turn()
    assert setup.local().read_bytes() == b"abcdefgh"


def test_restarted_mirror_goes_on_where_the_file_ends(setup: Setup) -> None:
    setup.put(0, b"abcdefgh")
    setup.local().parent.mkdir()
    setup.local().write_bytes(b"abc")
    setup.mirror.turn()
    assert setup.local().read_bytes() == b"abcdefgh"
    setup.new_mirror().turn()
    assert setup.local().read_bytes() == b"abcdefgh"


def test_attempts_have_separate_files_even_with_the_same_name(setup: Setup) -> None:
    setup.put(0, b"first", epoch=1)
    setup.put(0, b"second", epoch=2)
    setup.mirror.turn()
    assert (setup.local(epoch=1).read_bytes(), setup.local(epoch=2).read_bytes()) == (b"first", b"second")


def test_late_events_of_a_superseded_attempt_are_copied(setup: Setup) -> None:
    setup.put(0, b"a", epoch=1)
    setup.put(0, b"b", epoch=2)
    setup.mirror.turn()
    setup.clock.sleep(60)
    setup.put(1, b"late", epoch=1)
    setup.mirror.turn()
    assert setup.local(epoch=1).read_bytes() == b"alate"


def test_settled_attempts_are_not_listed_again(setup: Setup) -> None:
    for epoch in (1, 2, 3):
        setup.put(0, b"x", epoch=epoch)
    setup.mirror.turn()
    setup.clock.sleep(301)
    setup.mirror.turn()
    setup.put(1, b"never", epoch=1)
    setup.put(1, b"y", epoch=3)
    setup.put(0, b"z", epoch=4)
    setup.mirror.turn()
    assert setup.local(epoch=1).read_bytes() == b"x"
    assert setup.local(epoch=3).read_bytes() == b"xy"
    assert setup.local(epoch=4).read_bytes() == b"z"


def test_idle_mirror_makes_at_most_six_requests_a_minute(setup: Setup) -> None:
    setup.put(0, b"x")
    for _ in range(BUSY_TURNS + 1):
        setup.clock.sleep(setup.mirror.turn())
    before, begin = setup.counting.requests, setup.clock.monotonic()
    while setup.clock.monotonic() - begin < 600:
        setup.clock.sleep(setup.mirror.turn())
    assert (setup.counting.requests - before) / 10 <= 6


def test_new_data_makes_the_mirror_poll_often_again(setup: Setup) -> None:
    for _ in range(BUSY_TURNS):
        setup.mirror.turn()
    assert setup.mirror.turn() == IDLE_SECONDS
    setup.put(0, b"x")
    assert setup.mirror.turn() == BUSY_SECONDS


def test_outage_is_logged_once_and_waited_out(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    setup.put(0, b"a")
    setup.counting.down = True
    with caplog.at_level("INFO"):
        assert [setup.mirror.turn() for _ in range(5)] == [ERROR_SECONDS] * 5
        setup.counting.down = False
        setup.mirror.turn()
    assert [record.levelname for record in caplog.records if "event files" in record.message] == ["WARNING", "INFO"]
    assert setup.local().read_bytes() == b"a"


@pytest.mark.parametrize(
    "key",
    [
        "train/0001-abcdef01/events/train/../../../x/00000000000000000000",
        "train/0001-abcdef01/events/other/events.out.tfevents.1.h/00000000000000000000",
        "train/0001-abcdef01/events/train/events.out.tfevents.1.h/7",
        "train/0001-abcdef01/checkpoints/00000001/MANIFEST.json",
        "train/not-an-attempt/events/train/events.out.tfevents.1.h/00000000000000000000",
    ],
)
def test_other_keys_are_ignored(setup: Setup, key: str) -> None:
    setup.store.put(f"{setup.prefix}/{key}", b"x")
    setup.mirror.turn()
    assert [path for path in setup.context.config.shared.rglob("*") if path.is_file()] == []


def test_sigterm_ends_the_mirror_at_once(run: Any) -> None:
    context = run.pod("mirror")
    results: list[StageResult] = []
    thread = threading.Thread(target=lambda: results.append(run_mirror(context)))
    thread.start()
    context.stop.set()
    thread.join(patience(3))
    assert not thread.is_alive()
    assert [result.entry.name for result in results] == ["Stopped"]
    assert sorted(path.name for path in (context.config.shared / "logs").iterdir()) == ["eval_0", "train"]
