"""Worker processes: the same data set as without them, even when one dies."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from prep_in_memory import Preparation
from trainingrun_agent.current_file import CurrentFile
from trainingrun_agent.errors import DiskFull, Interrupted, StorageRefused
from trainingrun_agent.ordered import Bounds
from trainingrun_agent.prep.image.check import Checker
from trainingrun_agent.prep.sharding import pool, shared_files, supervisor, worker_process
from trainingrun_agent.prep.sharding.job import FetchedImage, ImageFile, ShardJob
from trainingrun_agent.prep.sharding.result import ShardResult
from trainingrun_agent.prep.sharding.worker import ShardWorker
from trainingrun_agent.prep.sharding.worker_process import RemoteShard, RemoteWriter, WorkerProcess
from trainingrun_agent.prep.source.readers import Context, LabelFile
from trainingrun_agent.prep.split import shards
from trainingrun_agent.prep.statistics.network_input import NetworkInput
from trainingrun_agent.progress import Progress
from trainingrun_agent.reasons.storage import ACCESS_DENIED
from voc_data import jpeg, labelled, voc


@pytest.fixture
def prep(prep: Preparation, monkeypatch: pytest.MonkeyPatch) -> Preparation:
    for number in range(40):
        prep.add(f"image {number}")
    prep.add("bad", jpeg(seed="bad")[:-2])
    prep.max_bad_files = "10%"
    monkeypatch.setattr(shards, "TARGET_BYTES", 40_000)
    monkeypatch.setattr(supervisor, "READ_IMAGES", 3)
    monkeypatch.setattr(supervisor, "BATCH", Bounds(max_items=1, max_cost=4 << 20))
    return prep


def with_workers(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("trainingrun_agent.prep.build.workers_for", lambda *_: count)


@pytest.mark.parametrize(
    "shared_from", [pytest.param(1, id="all in shared files"), pytest.param(1 << 30, id="all in messages")]
)
def test_workers_make_the_same_data_set_as_one_process(
    prep: Preparation, monkeypatch: pytest.MonkeyPatch, shared_from: int
) -> None:
    monkeypatch.setattr(shared_files, "LARGE", shared_from)
    monkeypatch.setattr(shared_files, "KEPT", 4000)  # less than some images have
    alone = prep.run()
    objects = dict(prep.memory.objects)
    for key in [key for key in objects if key.startswith("ml/")]:
        del prep.memory.objects[key]
    with_workers(monkeypatch, 2)
    together = prep.run()
    assert together.digest == alone.digest
    changed = {key for key, data in prep.memory.objects.items() if objects.get(key) != data}
    assert {key.rpartition("/")[2] for key in changed} <= {"MANIFEST.json"}  # it holds the time
    assert list(prep.scratch.iterdir()) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_each_worker_says_what_it_reads_until_it_has_ended(
    prep: Preparation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workers: int
) -> None:
    with_workers(monkeypatch, workers)
    log = tmp_path / "termination-log"
    prep.progress = Progress(stage="prep", pod_uid="pod-1", current=CurrentFile(log))
    seen: set[tuple[int, bytes]] = set()
    monkeypatch.setattr(supervisor._Attempt, "_count", lambda *_: seen.update(enumerate(log.read_bytes().splitlines())))
    prep.run()
    lines = {(slot, line.strip()) for slot, line in seen if line.strip()}
    assert lines
    assert {slot for slot, _ in lines} <= set(range(1, max(1, workers) + 1))
    assert all(line.startswith(b"reading ") and line.endswith(b".jpg") for _, line in lines)
    assert log.read_bytes().strip() == b""


@pytest.mark.parametrize(
    ("images", "size", "expected"),
    [
        pytest.param(0, 0, 0, id="nothing"),
        pytest.param(256, 256 * 20_000, 0, id="few and small"),
        pytest.param(257, 257, 4, id="many"),
        pytest.param(2, 9 << 20, 4, id="two large ones"),
    ],
)
def test_processes_start_for_many_images_or_many_bytes(
    monkeypatch: pytest.MonkeyPatch, images: int, size: int, expected: int
) -> None:
    monkeypatch.setattr(pool, "cores", lambda: 16)
    assert pool.workers_for(images, size) == expected


def test_the_largest_shards_come_first(prep: Preparation, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    run = supervisor.Supervisor.run

    def seen(self: supervisor.Supervisor, task: supervisor.ShardTask) -> ShardResult:
        sizes.append(sum(pair.image.size for pair in task.pairs))
        return run(self, task)

    monkeypatch.setattr(supervisor.Supervisor, "run", seen)
    prep.run()
    assert len(sizes) > 2
    assert sizes == sorted(sizes, reverse=True)


DEADLY = b"deadly"


class DyingWorker(WorkerProcess):
    """A worker process that dies when it is given an image with the mark DEADLY."""

    def open(self, job: ShardJob) -> RemoteShard:
        shard = super().open(job)
        begin = shard.begin

        def begin_dying(previous_shards: Mapping[int, Path]) -> RemoteWriter:
            writer = begin(previous_shards)
            feed = writer.feed

            def feed_or_die(images: Sequence[FetchedImage]) -> None:
                if any(isinstance(fetched.image, bytes) and DEADLY in fetched.image for fetched in images):
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
    prep.add("image 7", jpeg(seed="deadly") + DEADLY)
    made = prep.run()
    assert made.train_images == 3 + 40 - 1
    found = [(item["code"], item["file"]) for item in prep.document("report.json")["findings"]]
    assert found == [("ImageTruncated", "bad.jpg"), ("ImageCrashesDecoder", "image 7.jpg")]
    assert prep.progress.snapshot()["phase"] == "reporting"


def test_workers_that_always_die_end_the_preparation(prep: Preparation, monkeypatch: pytest.MonkeyPatch) -> None:
    with_workers(monkeypatch, 1)
    monkeypatch.setattr(worker_process.sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match=r"workers died 20 times at shard train-0000\d"):
        prep.run()


ERRORS: dict[str, tuple[Callable[[Preparation, str], bytes], type[Exception]]] = {
    "refused": (lambda _prep, key: refuse(key), StorageRefused),
    "stopped": (lambda prep, _key: stop(prep), Interrupted),
}


def refuse(key: str) -> bytes:
    raise StorageRefused(ACCESS_DENIED, call="GetObject", where=key, answer="403")


def stop(prep: Preparation) -> bytes:
    prep.stop.set()
    return jpeg()


@pytest.mark.parametrize(("trouble", "expected"), ERRORS.values(), ids=ERRORS)
def test_an_error_ends_all_workers(
    prep: Preparation,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[Preparation, str], bytes],
    expected: type[Exception],
) -> None:
    with_workers(monkeypatch, 2)
    get = prep.memory.get

    def troubled(key: str, *, max_bytes: int, etag: str = "") -> bytes:
        return trouble(prep, key) if key.endswith("image 9.jpg") else get(key, max_bytes=max_bytes, etag=etag)

    monkeypatch.setattr(prep.memory, "get", troubled)
    before = threading.active_count()
    with pytest.raises(expected):
        prep.run()
    assert threading.active_count() <= before  # threads of earlier tests may end meanwhile
    assert list(prep.scratch.iterdir()) == []
    assert not any(key.endswith("MANIFEST.json") for key in prep.memory.objects)


def test_a_disk_that_is_full_when_files_are_closed_raises_disk_full(tmp_path: Path) -> None:
    for name in ("train-00000.csv", "train-00000.tfrecord"):
        (tmp_path / name).symlink_to("/dev/full")
    worker = ShardWorker(Checker(("tire",), 1024), NetworkInput.for_network("ssd_inception_v2"), tmp_path)
    image = ImageFile("a.jpg", "1", "a.xml", "1")

    def write() -> None:
        with worker.open(ShardJob("train", 0, "train-00000", "pascalVOC", [image])).begin({}) as writer:
            writer.feed([FetchedImage(0, jpeg(), LabelFile(voc(labelled()), Context()))])
            writer.finish()

    with pytest.raises(DiskFull, match="train-00000"):
        write()


def test_an_error_of_the_disk_in_a_worker_is_raised_in_the_main_process() -> None:
    worker = WorkerProcess(
        Checker(("tire",), 1024), NetworkInput.for_network("ssd_inception_v2"), Path("/proc/nowhere")
    )
    try:
        shard = worker.open(ShardJob("train", 0, "x", "pascalVOC", []))
        assert shard.needs.images == []
        with pytest.raises(OSError, match="/proc/nowhere"):
            shard.begin({})
    finally:
        worker.close()


def test_a_worker_keeps_the_memory_of_pixels_for_the_next_image(tmp_path: Path) -> None:
    worker = WorkerProcess(Checker(("tire",), 1024), NetworkInput.for_network("ssd_inception_v2"), tmp_path)
    photo, labels = jpeg(1200, 900), LabelFile(voc([labelled()], size=None), Context())
    images = [FetchedImage(place, photo, labels) for place in range(13)]
    job = ShardJob("train", 0, "x", "pascalVOC", [ImageFile(f"{one.place}.jpg", "1", "", "1") for one in images])
    try:
        writer = worker.open(job).begin({})
        for one in images[:3]:
            writer.feed([one])
        writer.drain()
        before = _page_faults(worker.process.pid)
        for one in images[3:]:
            writer.feed([one])
        writer.drain()
        pixels = 1200 * 900 * 4 // os.sysconf("SC_PAGE_SIZE")
        assert _page_faults(worker.process.pid) - before < pixels  # ten images, each with so many pages
    finally:
        worker.close()


def _page_faults(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])
