"""Images in a local folder, which worker processes read: the same data set and the same errors as from a bucket."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from prep_in_memory import Preparation
from trainingrun_agent.errors import Interrupted, StorageRefused, UserError
from trainingrun_agent.prep.sharding import local_reading, pool, supervisor
from trainingrun_agent.prep.sharding.job import LocalImage, SentImage, ShardJob
from trainingrun_agent.prep.sharding.local_reading import LocalReading
from trainingrun_agent.prep.sharding.worker_process import RemoteShard, RemoteWriter, WorkerProcess
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.fetch import Unread
from trainingrun_agent.prep.source.image_labels import UnreadLabels
from trainingrun_agent.prep.source.place import Place
from trainingrun_agent.prep.source.readers import Context
from trainingrun_agent.reasons.storage import FILE_DENIED
from trainingrun_agent.storage.folder_store import FolderStore
from voc_data import jpeg


@pytest.fixture
def prep(prep: Preparation, tmp_path: Path) -> Preparation:
    """The images of `prep` and some more in a local folder, into which the data set is written as well."""
    for number in range(40):
        prep.add(f"image {number}")
    prep.add("bad", jpeg(seed="bad")[:-2])
    folder = tmp_path / "folder"
    for key, data in prep.memory.objects.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    prep.store = FolderStore(folder)
    prep.scratch = tmp_path / "scratch"
    prep.scratch.mkdir()
    prep.max_bad_files = "10%"
    return prep


def train(prep: Preparation) -> Path:
    assert prep.store is not None
    return Path(prep.store.bucket) / "train"


def with_workers(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("trainingrun_agent.prep.build.workers_for", lambda *_: count)


def written(prep: Preparation) -> dict[str, bytes]:
    """What was written that does not depend on times and files: records."""
    return {path.name: path.read_bytes() for path in train(prep).parent.rglob("*.tfrecord")}


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_records_are_those_of_a_bucket(prep: Preparation, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    with_workers(monkeypatch, workers)
    monkeypatch.setattr(supervisor, "LOCAL_IMAGES", 3)
    assert prep.run().train_images == 43
    from_folder = written(prep)
    prep.store = None
    prep.run()
    assert from_folder == {key.rpartition("/")[2]: data for key, data in prep.blobs().items()}
    assert list(prep.scratch.iterdir()) == []


class DyingWorker(WorkerProcess):
    """A worker process that dies when it is to read a deadly image."""

    def open(self, job: ShardJob) -> RemoteShard:
        shard = super().open(job)
        begin = shard.begin

        def begin_dying(previous_shards: Mapping[int, Path]) -> RemoteWriter:
            writer = begin(previous_shards)
            feed = writer.feed

            def feed_or_die(images: Sequence[SentImage]) -> None:
                if any(isinstance(one.image, Unread) and "deadly" in one.image.entry.path for one in images):
                    self.process.kill()
                    self.process.wait()
                feed(images)

            vars(writer)["feed"] = feed_or_die
            return writer

        vars(shard)["begin"] = begin_dying
        return shard


def test_an_image_that_kills_its_worker_costs_only_that_image(
    prep: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_workers(monkeypatch, 1)
    monkeypatch.setattr(pool, "WorkerProcess", DyingWorker)
    (train(prep) / "image 7.jpg").rename(train(prep) / "deadly.jpg")
    (train(prep) / "image 7.xml").rename(train(prep) / "deadly.xml")
    assert prep.run().train_images == 42


def is_gone(prep: Preparation) -> None:
    (train(prep) / "image 9.jpg").unlink(missing_ok=True)


def is_another_one(prep: Preparation) -> None:
    (train(prep) / "image 9.jpg").write_bytes(jpeg(seed="other"))


@pytest.mark.parametrize("change", [is_gone, is_another_one])
def test_a_file_that_changes_after_the_listing_is_noticed(
    prep: Preparation, monkeypatch: pytest.MonkeyPatch, change: Callable[[Preparation], None]
) -> None:
    with_workers(monkeypatch, 1)
    before_each_job(monkeypatch, lambda: change(prep))
    with pytest.raises(UserError, match=r"image 9\.jpg: ObjectChanged"):
        prep.run()


def before_each_job(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    open_ = WorkerProcess.open

    def changed(worker: WorkerProcess, job: ShardJob) -> RemoteShard:
        change()
        return open_(worker, job)

    monkeypatch.setattr(WorkerProcess, "open", changed)


def test_an_interruption_ends_all_workers(prep: Preparation, monkeypatch: pytest.MonkeyPatch) -> None:
    with_workers(monkeypatch, 2)
    before_each_job(monkeypatch, prep.stop.set)
    before = threading.active_count()
    with pytest.raises(Interrupted):
        prep.run()
    assert threading.active_count() <= before  # threads of earlier tests may end meanwhile
    assert list(prep.scratch.iterdir()) == []


def test_an_error_of_the_folder_is_passed_on_to_the_main_process(tmp_path: Path) -> None:
    images = local(tmp_path, ["a.jpg"])
    refused = StorageRefused(FILE_DENIED, file="a.jpg", problem="Permission denied")
    images[0].labels.file.place.store.get = lambda *_, **__: raise_(refused)  # type: ignore[method-assign]
    with pytest.raises(StorageRefused) as caught:
        LocalReading().read(images)
    passed = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (type(passed), str(passed), passed.entry) == (StorageRefused, str(refused), FILE_DENIED)


def raise_(error: Exception) -> None:
    raise error


def local(folder: Path, names: Sequence[str]) -> list[LocalImage]:
    place = Place(FolderStore(folder), "")
    made = []
    for number, name in enumerate(names):
        (folder / name).write_bytes(name.encode())
        unread = Unread(place, Entry(name, len(name)), 100)
        made.append(LocalImage(number, unread, UnreadLabels(unread, Context())))
    return made


def test_slow_files_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits until as many are being read as there are threads."""
    images = local(tmp_path, [f"{number}.jpg" for number in range(local_reading.READS_AT_ONCE)])
    reading = LocalReading()
    monkeypatch.setattr(local_reading, "SLOW", 0)
    expected = reading.read(images)
    meeting = threading.Barrier(local_reading.READS_AT_ONCE, timeout=30)
    read = local_reading._read

    def waiting(sent: SentImage) -> object:
        meeting.wait()
        return read(sent)

    monkeypatch.setattr(local_reading, "_read", waiting)
    assert reading.read(images) == expected
    assert [one.image for one in expected] == [f"{number}.jpg".encode() for number in range(len(images))]
