"""Downloads over connections that break: every byte is read about once, and versions of an object are never joined."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flaky_server import FlakyServer
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import IntegrityError, StageError, StorageOutage
from trainingrun_agent.storage.downloads import WORTH_GOING_ON
from trainingrun_agent.storage.folder_store import FolderStore
from trainingrun_agent.storage.health import StorageHealth
from trainingrun_agent.storage.retry import Retrier, RetryingStore
from trainingrun_agent.storage.s3 import READ, S3Store, open_store
from trainingrun_agent.storage.streams import Arrived
from trainingrun_agent.storage.web_archive import TOTAL_SECONDS, WebArchive

pytestmark = pytest.mark.contract
MIB = 1 << 20


def content(name: str, size: int = 3 * MIB) -> bytes:
    """Bytes of which no two parts are alike."""
    return hashlib.shake_256(name.encode()).digest(size)


OLD, NEW = content("old"), content("new")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def server() -> Iterator[FlakyServer]:
    """A server of the object OLD."""
    made = FlakyServer(OLD)
    yield made
    made.stop()


@pytest.fixture(params=["obstore", "boto3"])
def store(
    request: pytest.FixtureRequest, make_config: Callable[..., AgentConfig], server: FlakyServer, fake_clock: Any
) -> S3Store:
    """The server's store."""
    made = open_store(make_config(endpoint=server.endpoint), "detectors", clock=fake_clock)
    if request.param == "boto3":
        made._bulk = None
    return made


@pytest.fixture
def retrying(store: S3Store, fake_clock: Any) -> RetryingStore:
    """The same store, whose calls wait ten seconds for the end of an outage."""
    retrier = Retrier(
        tolerance_seconds=10,
        health=StorageHealth(lambda _: None, clock=fake_clock),
        stop=threading.Event(),
        clock=fake_clock,
        jitter=lambda: 0.5,
    )
    return RetryingStore(store, retrier)


class Counted(list[int]):
    """Byte increments as they are reported."""

    @property
    def thrown_away(self) -> int:
        return -sum(count for count in self if count < 0)


def starts(server: FlakyServer) -> list[int]:
    """Where the parts begin that were asked for."""
    return [int((wanted or "bytes=0-").removeprefix("bytes=").rstrip("-")) for wanted, _ in server.requests]


@pytest.mark.parametrize("stop", [1, MIB, len(OLD) - 1])
def test_a_small_object_is_whole_or_not_read(server: FlakyServer, store: S3Store, stop: int) -> None:
    """A connection that breaks must not leave the beginning for the object: that would be a damaged file."""
    server.breaks, store._bulk = [stop], None
    with pytest.raises(StorageOutage, match="connection broken while reading"):
        store.get("k", max_bytes=len(OLD))
    with pytest.raises(StorageOutage, match="connection broken while reading"):
        store.get_range("k", start=0, length=len(OLD))


def test_a_small_object_is_read_again_after_its_connection_broke(server: FlakyServer, retrying: RetryingStore) -> None:
    server.breaks = [MIB, MIB, None]
    assert retrying.get("k", max_bytes=len(OLD)) == OLD
    server.breaks = [MIB, None]
    assert retrying.get_range("k", start=3, length=2 * MIB) == OLD[3 : 3 + 2 * MIB]


def test_a_large_object_is_read_once_over_connections_that_break(
    server: FlakyServer, store: S3Store, tmp_path: Path
) -> None:
    server.data = content("large", 64 * MIB)
    server.breaks, counted = [3 * MIB], Counted()
    path = tmp_path / "f"
    digest = store.download("k", path, size=64 * MIB, sha256=sha256(server.data), on_bytes=counted.append)
    assert (digest, path.read_bytes() == server.data) == (sha256(server.data), True)
    assert len(server.requests) >= 22
    assert server.sent <= 64 * MIB + len(server.requests) * READ
    assert (sum(counted), counted.thrown_away) == (64 * MIB, 0)
    assert starts(server) == sorted(starts(server))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("f")] == ["f"]


def test_a_server_that_breaks_early_is_waited_for_as_long_as_bytes_arrive(
    server: FlakyServer, retrying: RetryingStore, tmp_path: Path, fake_clock: Any
) -> None:
    server.data = content("large", 16 * MIB)
    server.breaks, counted = [WORTH_GOING_ON // 3], Counted()
    retrying.download("k", tmp_path / "f", size=16 * MIB, sha256=sha256(server.data), on_bytes=counted.append)
    assert fake_clock.seconds > 10
    assert max(fake_clock.waits) <= 4
    assert server.sent <= 16 * MIB + len(server.requests) * READ
    assert (sum(counted), counted.thrown_away) == (16 * MIB, 0)


def test_after_an_outage_a_download_goes_on_where_it_was(
    server: FlakyServer, retrying: RetryingStore, tmp_path: Path, fake_clock: Any
) -> None:
    server.breaks, counted = [2 * MIB, None], Counted()

    def count(size: int) -> None:
        if not counted:
            server.away = 9
        counted.append(size)

    assert retrying.download("k", tmp_path / "f", size=len(OLD), sha256=None, on_bytes=count) == sha256(OLD)
    assert fake_clock.seconds >= 1
    assert server.sent <= len(OLD) + READ
    assert (sum(counted), counted.thrown_away) == (len(OLD), 0)


def test_an_outage_that_lasts_leaves_nothing(
    server: FlakyServer, retrying: RetryingStore, tmp_path: Path, fake_clock: Any
) -> None:
    server.breaks, counted = [MIB // 2], Counted()

    def count(size: int) -> None:
        server.away = 10_000
        counted.append(size)

    with pytest.raises(StorageOutage, match="waited 10 s"):
        retrying.download("k", tmp_path / "f", size=len(OLD), sha256=None, on_bytes=count)
    assert sum(counted) == 0
    assert not list(tmp_path.glob("f*"))


@pytest.mark.parametrize("digest", [None, sha256(NEW)], ids=["without digest", "with digest"])
@pytest.mark.parametrize(
    ("etag", "knows_if_match"),
    [('"one"', True), ('"one"', False), ('W/"one"', True), ("", False)],
    ids=["If-Match", "If-Match ignored", "weak ETag", "no ETag"],
)
def test_an_object_that_is_replaced_meanwhile_is_read_again_from_its_beginning(
    server: FlakyServer, store: S3Store, tmp_path: Path, etag: str, knows_if_match: bool, digest: str | None
) -> None:
    server.etag, server.knows_if_match = etag, knows_if_match
    server.next_version, server.breaks = NEW, [2 * MIB, None]
    counted = Counted()
    assert store.download("k", tmp_path / "f", size=len(NEW), sha256=digest, on_bytes=counted.append) == sha256(NEW)
    assert (tmp_path / "f").read_bytes() == NEW
    assert sum(counted) == len(NEW)
    assert 2 * MIB - READ <= counted.thrown_away <= 2 * MIB


def test_a_replaced_object_that_was_promised_by_its_digest_is_an_integrity_error(
    server: FlakyServer, store: S3Store, tmp_path: Path
) -> None:
    server.next_version, server.breaks = NEW, [2 * MIB, None]
    counted = Counted()
    with pytest.raises(IntegrityError, match=sha256(NEW)):
        store.download("k", tmp_path / "f", size=len(OLD), sha256=sha256(OLD), on_bytes=counted.append)
    assert sum(counted) == 0
    assert not list(tmp_path.glob("f*"))


@pytest.mark.parametrize(
    ("knows_range", "content_range"),
    [(False, ""), (True, "bytes 0-{last}/{size}"), (True, "bytes")],
    ids=["no ranges", "another range", "no range said"],
)
def test_a_server_without_ranges_is_read_from_the_beginning(
    server: FlakyServer, store: S3Store, tmp_path: Path, knows_range: bool, content_range: str
) -> None:
    server.knows_range, server.content_range = knows_range, content_range
    server.breaks = [2 * MIB, None]
    counted = Counted()
    assert store.download("k", tmp_path / "f", size=len(OLD), sha256=None, on_bytes=counted.append) == sha256(OLD)
    assert (tmp_path / "f").read_bytes() == OLD
    assert sum(counted) == len(OLD)


ENDLESS: dict[str, dict[str, Any]] = {
    "no ETags": {"etag": ""},
    "no ranges": {"knows_range": False},
    "another range": {"content_range": "bytes 7-{last}/{size}"},
    "no range said": {"content_range": "bytes"},
    "no ETags, no ranges": {"etag": "", "knows_range": False},
}


@pytest.mark.parametrize("oddities", ENDLESS.values(), ids=ENDLESS)
def test_a_server_that_always_breaks_there_and_cannot_go_on_is_an_outage(
    server: FlakyServer, retrying: RetryingStore, tmp_path: Path, oddities: dict[str, Any], fake_clock: Any
) -> None:
    """The same bytes again and again are no progress: it would be read for ever, without a pause."""
    for name, value in oddities.items():
        setattr(server, name, value)
    server.breaks, counted = [2 * MIB], Counted()
    with pytest.raises(StorageOutage, match="waited 10 s"):
        retrying.download("k", tmp_path / "f", size=len(OLD), sha256=None, on_bytes=counted.append)
    assert len(server.requests) <= 5 * (len(fake_clock.waits) + 2)
    assert (sum(counted), list(tmp_path.glob("f*"))) == (0, [])


@pytest.mark.parametrize("content_range", ["bytes", "bytes 0-{last}/{size}"])
def test_all_of_an_object_may_be_called_a_part(
    server: FlakyServer, store: S3Store, tmp_path: Path, content_range: str
) -> None:
    server.partial, server.content_range = True, content_range
    assert store.download("k", tmp_path / "f", size=len(OLD), sha256=None) == sha256(OLD)


def test_a_part_that_was_not_asked_for_is_not_taken_for_the_object(
    server: FlakyServer, store: S3Store, tmp_path: Path
) -> None:
    server.partial, server.content_range, server.data = True, "bytes 7-{last}/{size}", OLD[7:]
    with pytest.raises(IntegrityError, match=f"{len(OLD) - 7} bytes"):
        store.download("k", tmp_path / "f", size=len(OLD), sha256=None)
    assert len(server.requests) <= 3


@pytest.mark.parametrize("larger", [0, 10], ids=["the object ends there", "the object has become longer"])
def test_a_connection_that_breaks_after_the_last_byte(
    server: FlakyServer, store: S3Store, tmp_path: Path, larger: int
) -> None:
    server.data, server.chunked, server.breaks = OLD + b"x" * larger, True, [len(OLD), None]
    store._bulk = None  # obstore reads nothing without a length
    if larger:
        with pytest.raises(IntegrityError):
            store.download("k", tmp_path / "f", size=len(OLD), sha256=None)
    else:
        assert store.download("k", tmp_path / "f", size=len(OLD), sha256=None) == sha256(OLD)
        assert server.sent <= len(OLD) + READ


def test_no_more_than_was_promised_is_written(server: FlakyServer, store: S3Store, tmp_path: Path) -> None:
    largest = 0

    def look(_: int) -> None:
        nonlocal largest
        partial = tmp_path / "f.partial"
        largest = max(largest, partial.stat().st_size if partial.exists() else 0)

    server.data, server.breaks = bytes(32 * MIB), [2 * MIB, 3 * MIB, None]
    with pytest.raises(IntegrityError):
        store.download("k", tmp_path / "f", size=4 * MIB, sha256=None, on_bytes=look)
    assert largest < 8 * MIB


def test_the_file_is_never_written_through_a_link(server: FlakyServer, store: S3Store, tmp_path: Path) -> None:
    """The folder is shared with the trainer, which may put links there before and while a download waits."""
    victim, partial, counted = tmp_path / "victim", tmp_path / "f.partial", Counted()
    victim.write_bytes(b"untouched")
    partial.symlink_to(victim)
    server.breaks = [2 * MIB, None]

    def plant(size: int) -> None:
        if not counted:
            partial.unlink()
            partial.symlink_to(victim)
        counted.append(size)

    store.download("k", tmp_path / "f", size=len(OLD), sha256=None, on_bytes=plant)
    assert victim.read_bytes() == b"untouched"


def test_a_folder_is_read_from_the_beginning_whatever_had_arrived(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "k").write_bytes(b"12345")
    counted = Counted()
    with Arrived(tmp_path / "f", counted.append) as arrived:
        with pytest.raises(StageError):
            FolderStore(tmp_path / "bucket").download("gone", tmp_path / "f", size=5, sha256=None, arrived=arrived)
        store = FolderStore(tmp_path / "bucket")
        assert store.download("k", tmp_path / "f", size=5, sha256=None, arrived=arrived) == sha256(b"12345")
    assert ((tmp_path / "f").read_bytes(), sum(counted)) == (b"12345", 5)


class Archive:
    """A download from a web server whose connections break."""

    def __init__(self, certificate: Path, path: Path, clock: Any) -> None:
        self.server = FlakyServer(OLD, certificate=certificate)
        self.path, self.counted, self.sizes = path, Counted(), list[int]()
        self.archive = WebArchive(f"{self.server.endpoint}/a.tar.gz", ca_file=certificate, clock=clock)

    def run(self, on_bytes: Callable[[int], None] | None = None) -> tuple[int, str]:
        count = on_bytes or self.counted.append
        return self.archive.download(self.path, limit=4 * MIB, on_size=self.sizes.append, on_bytes=count)


@pytest.fixture
def archive(certificate: Path, tmp_path: Path, fake_clock: Any) -> Iterator[Archive]:
    made = Archive(certificate, tmp_path / "a.tar.gz", fake_clock)
    yield made
    made.server.stop()


def test_an_archive_is_read_once_over_connections_that_break(archive: Archive) -> None:
    archive.server.breaks = [WORTH_GOING_ON + MIB // 4]
    assert archive.run() == (len(OLD), sha256(OLD))
    assert archive.path.read_bytes() == OLD
    assert (archive.server.sent, sum(archive.counted), archive.counted.thrown_away) == (len(OLD), len(OLD), 0)
    assert archive.sizes == [len(OLD)]


def test_an_archive_of_which_little_arrives_is_left_to_the_next_attempt(archive: Archive) -> None:
    archive.server.breaks = [2 * MIB, WORTH_GOING_ON // 2]
    with pytest.raises(StageError, match="the connection was lost after 2621440 of 3145728 bytes") as caught:
        archive.run()
    assert caught.value.reason == "PretrainedUnreachable"
    assert (sum(archive.counted), list(archive.path.parent.glob("a.tar*"))) == (0, [])


@pytest.mark.parametrize("etag", ['"one"', ""], ids=["ETag", "no ETag"])
@pytest.mark.parametrize("knows_range", [True, False], ids=["ranges", "no ranges"])
def test_an_archive_that_is_replaced_meanwhile_is_never_joined(archive: Archive, etag: str, knows_range: bool) -> None:
    server = archive.server
    server.etag, server.knows_range, server.next_version, server.breaks = etag, knows_range, NEW, [2 * MIB, None]
    assert archive.run() == (len(NEW), sha256(NEW))
    assert archive.path.read_bytes() == NEW
    assert sum(archive.counted) == len(NEW)


@pytest.mark.parametrize("oddities", ENDLESS.values(), ids=ENDLESS)
def test_an_archive_that_always_breaks_there_and_cannot_go_on_is_given_up(
    archive: Archive, oddities: dict[str, Any]
) -> None:
    for name, value in oddities.items():
        setattr(archive.server, name, value)
    archive.server.breaks = [2 * MIB]
    with pytest.raises(StageError, match="the connection was lost after 2097152 of") as caught:
        archive.run()
    assert (caught.value.reason, len(archive.server.requests) <= 4) == ("PretrainedUnreachable", True)
    assert (sum(archive.counted), list(archive.path.parent.glob("a.tar*"))) == (0, [])


def test_an_archive_that_takes_too_long_is_given_up(archive: Archive, fake_clock: Any) -> None:
    def slow(size: int) -> None:
        archive.counted.append(size)
        fake_clock.seconds += TOTAL_SECONDS / 3

    with pytest.raises(StageError, match=f"it did not arrive within {TOTAL_SECONDS:.0f} s"):
        archive.run(slow)
    assert (sum(archive.counted), list(archive.path.parent.glob("a.tar*"))) == (0, [])
