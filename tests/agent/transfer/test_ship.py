"""Shipping checkpoints and event files from a folder that changes at the same time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trainingrun_agent.errors import StorageRefused
from trainingrun_agent.keys import Attempt
from trainingrun_agent.reasons.storage import ACCESS_DENIED
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.transfer import ship_events
from trainingrun_agent.transfer.resume import StoredCheckpoint
from trainingrun_agent.transfer.ship_checkpoints import CheckpointShipper
from trainingrun_agent.transfer.ship_events import EventShipper
from trainingrun_agent.transfer.upload_queue import UploadQueue

pytestmark = pytest.mark.contract
ATTEMPT = Attempt(1, "lab/runs/team/tire-0a1b2c3d/train/0001-abcdef01")
EVENTS = "events.out.tfevents.1700000000.host"


class Ship:
    """A shared folder, the bucket, and a shipper between them."""

    def __init__(self, run: Any, newest: StoredCheckpoint | None = None) -> None:
        context = run.pod("train")
        self.root: Path = context.config.shared
        (self.root / "model" / "eval_0").mkdir(parents=True)
        (self.root / "ready").mkdir()
        self.store: ObjectStore = context.out
        self.folder = Folder.open(self.root)
        self.shipped: list[int] = []
        self.shipper = CheckpointShipper(
            context,
            ATTEMPT,
            self.folder,
            newest=newest,
            on_shipped=lambda checkpoint: self.shipped.append(checkpoint.step),
        )
        self.events = EventShipper(self.store, ATTEMPT, self.folder)

    def save(self, step: int, *, size: int = 1000) -> None:
        names = {f"model.ckpt-{step}.data-00000-of-00001": size, f"model.ckpt-{step}.index": 10}
        for name, length in names.items():
            (self.root / "model" / name).write_bytes(bytes([step % 251]) * length)
        files = [{"name": name, "size": length} for name, length in names.items()]
        self.ready(step, files)

    def ready(self, step: int, files: list[dict[str, Any]]) -> None:
        document = {"contractVersion": 1, "step": step, "files": files}
        (self.root / "ready" / f"{step:08d}.json").write_text(json.dumps(document))

    def prune(self, step: int) -> None:
        for path in (self.root / "model").glob(f"model.ckpt-{step}.*"):
            path.unlink()

    def keys(self, below: str) -> list[str]:
        return [info.key[len(ATTEMPT.folder) + 1 :] for info in self.store.list(f"{ATTEMPT.folder}/{below}")]

    def write_events(self, data: bytes, name: str = EVENTS) -> None:
        with (self.root / "model" / name).open("ab") as file:
            file.write(data)

    def offsets(self) -> list[int]:
        return [int(key.rpartition("/")[2]) for key in self.keys(f"events/train/{EVENTS}/")]

    def joined(self) -> bytes:
        """The event file that a reader assembles from the chunks."""
        data = b""
        for info in self.store.list(f"{ATTEMPT.folder}/events/train/{EVENTS}/"):
            offset = int(info.key.rpartition("/")[2])
            assert offset <= len(data), "the chunks are not contiguous"
            data += self.store.get(info.key, max_bytes=10**8)[len(data) - offset :]
        return data


@pytest.fixture
def ship(run: Any) -> Iterator[Ship]:
    result = Ship(run)
    with result.folder:
        yield result


def test_checkpoint_pruned_after_it_was_ready_is_still_shipped(ship: Ship) -> None:
    ship.save(100)
    assert ship.shipper.collect()
    ship.prune(100)
    ship.shipper.ship()
    assert ship.keys("checkpoints/") == [
        "checkpoints/00000100/MANIFEST.json",
        "checkpoints/00000100/model.ckpt-100.data-00000-of-00001",
        "checkpoints/00000100/model.ckpt-100.index",
    ]
    assert list((ship.root / "spool").iterdir()) == []


def test_newest_wins_when_uploads_fall_behind(ship: Ship) -> None:
    for step in (100, 200, 300):
        ship.save(step)
        ship.shipper.collect()
    ship.shipper.ship()
    assert ship.shipped == [300]
    assert ship.shipper.newest == StoredCheckpoint(300, 1, ATTEMPT.checkpoint(300))
    assert list((ship.root / "spool").iterdir()) == []


def test_the_best_checkpoint_is_uploaded_although_newer_ones_wait(ship: Ship) -> None:
    ship.shipper._queue = UploadQueue(protected=lambda: {200})
    for step in (100, 200, 300, 400):
        ship.save(step)
        ship.shipper.collect()
    ship.shipper.ship()
    assert ship.shipped == [200, 400]
    assert ship.shipper.newest == StoredCheckpoint(400, 1, ATTEMPT.checkpoint(400))
    assert list((ship.root / "spool").iterdir()) == []


def test_the_best_checkpoint_is_uploaded_although_a_newer_one_became_ready_at_once(ship: Ship) -> None:
    ship.shipper._queue = UploadQueue(protected=lambda: {200})
    for step in (100, 200, 300, 400):
        ship.save(step)
    assert ship.shipper.collect()
    assert not ship.shipper.collect()
    ship.shipper.ship()
    assert ship.shipped == [200, 400]


def test_manifest_is_written_after_the_files_it_names(ship: Ship) -> None:
    order: list[str] = []

    class Recording:
        bucket = ship.store.bucket

        def upload(self, key: str, *arguments: Any, **options: Any) -> str:
            order.append(key.rpartition(".")[2])
            return ship.store.upload(key, *arguments, **options)

        def put(self, key: str, data: bytes, **options: Any) -> bool:
            order.append(key.rpartition("/")[2])
            return ship.store.put(key, data, **options)

    ship.shipper._store = Recording()  # type: ignore[assignment]
    ship.save(5)
    ship.shipper.collect()
    ship.shipper.ship()
    assert order == ["data-00000-of-00001", "index", "MANIFEST.json"]
    manifest = manifests.read(ship.store, f"{ATTEMPT.checkpoint(5)}/MANIFEST.json")
    assert [(entry.role, entry.size, entry.sha256) for entry in manifest.objects] == [
        ("data", 1000, hashlib.sha256(b"\x05" * 1000).hexdigest()),
        ("index", 10, hashlib.sha256(b"\x05" * 10).hexdigest()),
    ]


def test_checkpoint_training_resumed_from_is_not_shipped_again(run: Any) -> None:
    ship = Ship(run, newest=StoredCheckpoint(100, 1, "elsewhere"))
    with ship.folder:
        ship.save(100)
        assert not ship.shipper.collect()
        ship.save(110)
        assert ship.shipper.collect()


def test_unusable_newest_falls_back_to_the_one_before(ship: Ship) -> None:
    ship.save(10)
    ship.save(20)
    (ship.root / "model" / "model.ckpt-20.index").unlink()
    (ship.root / "model" / "model.ckpt-20.index").symlink_to("/etc/hostname")
    assert ship.shipper.collect()
    ship.shipper.ship()
    assert ship.shipped == [10]


def test_unusable_checkpoint_is_logged_only_once(ship: Ship, caplog: pytest.LogCaptureFixture) -> None:
    ship.save(20)
    ship.prune(20)
    for _ in range(5):
        assert not ship.shipper.collect()
    assert len([record for record in caplog.records if "step 20" in record.message]) == 1


def test_newest_of_very_many_checkpoints_is_found(ship: Ship) -> None:
    for step in range(1, 6000):
        (ship.root / "ready" / f"{step:08d}.json").touch()
    ship.save(6000)
    assert ship.shipper.collect()
    ship.shipper.ship()
    assert ship.shipped == [6000]


@pytest.mark.parametrize("change", [b"", b"x" * 999, b"x" * 1001], ids=["emptied", "shorter", "longer"])
def test_file_of_another_size_than_promised_has_no_manifest(ship: Ship, change: bytes) -> None:
    ship.save(10)
    (ship.root / "model" / "model.ckpt-10.data-00000-of-00001").write_bytes(change)
    ship.shipper.collect()
    ship.shipper.ship()
    assert ship.shipped == []
    assert "checkpoints/00000010/MANIFEST.json" not in ship.keys("checkpoints/")


def test_spool_that_is_a_link_is_not_written_through(ship: Ship, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (ship.root / "spool").symlink_to(outside)
    ship.save(10)
    assert not ship.shipper.collect()
    assert list(outside.iterdir()) == []


def test_event_chunks_are_contiguous_while_the_file_grows(ship: Ship) -> None:
    for part in (b"a" * 10, b"", b"b" * 20, b"c" * 5):
        ship.write_events(part)
        ship.events.ship()
    assert ship.offsets() == [0, 10, 30]
    assert ship.joined() == b"a" * 10 + b"b" * 20 + b"c" * 5


def test_long_file_is_cut_into_bounded_chunks(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ship_events, "MAX_CHUNK_BYTES", 100)
    ship.write_events(bytes(range(250)))
    ship.events.ship()
    assert ship.offsets() == [0, 100, 200]
    assert ship.joined() == bytes(range(250))


def test_many_small_chunks_become_one_and_shipping_goes_on(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ship_events, "MERGE_AFTER", 4)
    written = b""
    for turn in range(15):
        part = bytes([turn]) * (turn + 1)
        written += part
        ship.write_events(part)
        ship.events.ship()
        assert ship.joined() == written
    assert len(ship.offsets()) == 3
    ship.events.compact()
    assert ship.offsets() == [0]
    assert ship.joined() == written


def test_the_number_of_objects_of_a_long_training_is_bounded(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ship_events, "MERGE_AFTER", 4)
    monkeypatch.setattr(ship_events, "MAX_CHUNK_BYTES", 100)
    most = 0
    for number in range(200):
        ship.write_events(b"%05d" % number)
        ship.events.ship()
        most = max(most, len(ship.offsets()))
    assert most <= 1000 // 100 + 5
    assert ship.joined() == b"".join(b"%05d" % number for number in range(200))


def test_compaction_forbidden_by_the_bucket_leaves_the_chunks(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(key: str) -> None:
        raise StorageRefused(ACCESS_DENIED, call="DeleteObject", where=key, answer="403")

    for part in (b"a", b"b"):
        ship.write_events(part)
        ship.events.ship()
    monkeypatch.setattr(ship.store, "delete", refuse)
    ship.events.compact()
    assert ship.joined() == b"ab"
    assert ship.offsets() == [0, 1]


def test_truncated_event_file_keeps_what_was_shipped(ship: Ship) -> None:
    ship.write_events(b"abcdef")
    ship.events.ship()
    (ship.root / "model" / EVENTS).write_bytes(b"x")
    ship.events.ship()
    ship.events.compact()
    assert ship.joined() == b"abcdef"


@pytest.mark.parametrize(
    "name", ["notes.txt", "model.ckpt-1.index", "events.out.tfevents.17.a\nb", "events.out.tfevents.x.h"]
)
def test_other_files_in_the_model_folder_are_not_shipped(ship: Ship, name: str) -> None:
    ship.write_events(b"data", name)
    ship.events.ship()
    assert ship.keys("events/") == []


def test_link_named_like_an_event_file_is_not_shipped(ship: Ship, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (ship.root / "model" / EVENTS).symlink_to(tmp_path / "secret")
    (ship.root / "model" / "eval_0").rmdir()
    (ship.root / "model" / "eval_0").symlink_to(tmp_path)
    (tmp_path / EVENTS).write_bytes(b"secret")
    ship.events.ship()
    assert ship.keys("events/") == []
