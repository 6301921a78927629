"""Fetching for training: damaged data, weights, and the checkpoint to resume from."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trainingrun_agent.errors import IntegrityError, Interrupted, UserError
from trainingrun_agent.keys import Attempt
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import Manifest, ManifestObject, Producer
from trainingrun_agent.training_settings import Uri
from trainingrun_agent.transfer.fetch import TrainInput, fetch_train
from trainingrun_agent.transfer.last_step import LastStep
from trainingrun_agent.transfer.meter import Meter
from trainingrun_agent.transfer.parallel import Transfers
from trainingrun_agent.transfer.resume import stored_checkpoints
from trainingrun_agent.transfer.weights import fetch_weights

pytestmark = pytest.mark.contract


class Bucket:
    """A bucket with checkpoints of earlier attempts, stored as an agent stores them."""

    def __init__(self, run: Any) -> None:
        self.run = run
        self.store: ObjectStore = run.pod("prep").out

    def attempt(self, epoch: int) -> Attempt:
        return Attempt(epoch, f"{self.run.prefix}/train/{epoch:04d}-abcdef{epoch:02d}")

    def checkpoint(self, epoch: int, step: int, *, manifest: bool = True, names: list[str] | None = None) -> str:
        folder = self.attempt(epoch).checkpoint(step)
        names = names or [f"model.ckpt-{step}.data-00000-of-00001", f"model.ckpt-{step}.index"]
        data = f"epoch {epoch} step {step}".encode()
        for name in names:
            self.store.put(f"{folder}/{name}", data)
        objects = tuple(ManifestObject(n, len(data), hashlib.sha256(data).hexdigest(), "data") for n in names)
        if manifest:
            document = Manifest("checkpoint", Producer("p", epoch), "2026-01-01T00:00:00Z", objects, step=step)
            manifests.write(self.store, folder, document)
        return folder

    def fetch(self, *, epoch: int = 9) -> tuple[TrainInput, Path]:
        context = self.run.pod("train")
        with Folder.open(context.config.shared) as folder:
            return fetch_train(context, folder, epoch=epoch, while_waiting=lambda: None), context.config.shared

    def other_run(self) -> Bucket:
        """Another run in the bucket, which this one continues."""
        folder = "lab/runs/team/old-99999999"
        self.run.document["resumeFrom"] = {"bucket": self.store.bucket, "key": f"{folder}/"}
        return OtherBucket(self.run, folder)


class OtherBucket(Bucket):
    """The checkpoints of another run."""

    def __init__(self, run: Any, folder: str) -> None:
        super().__init__(run)
        self._folder = folder

    def attempt(self, epoch: int) -> Attempt:
        return Attempt(epoch, f"{self._folder}/train/{epoch:04d}-abcdef{epoch:02d}")


@pytest.fixture
def bucket(prepared: Any) -> Bucket:
    return Bucket(prepared)


def test_first_attempt_starts_at_zero(bucket: Bucket) -> None:
    found, shared = bucket.fetch()
    assert (found.resumed_from, found.steps_lost, found.spec["resumedFromStep"]) == (0, 0, 0)
    assert list((shared / "model").iterdir()) == []


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        pytest.param([(1, 100), (1, 200)], (1, 200), id="highest step"),
        pytest.param([(1, 900), (1, 10000)], (1, 10000), id="steps are numbers, not text"),
        pytest.param([(1, 300), (2, 200)], (1, 300), id="a later attempt that got less far"),
        pytest.param([(1, 200), (3, 200), (2, 200)], (3, 200), id="same step, later epoch"),
        pytest.param([(1, 100), (9, 500), (12, 900)], (1, 100), id="own and later epochs do not count"),
    ],
)
def test_newest_checkpoint_of_earlier_epochs_comes_back(
    bucket: Bucket, stored: list[tuple[int, int]], expected: tuple[int, int]
) -> None:
    for epoch, step in stored:
        bucket.checkpoint(epoch, step)
    found, shared = bucket.fetch()
    epoch, step = expected
    assert found.resumed is not None
    assert (found.resumed.epoch, found.resumed.step) == expected
    assert (shared / "model" / f"model.ckpt-{step}.index").read_text() == f"epoch {epoch} step {step}"
    assert (shared / "model" / "checkpoint").read_text().splitlines()[
        0
    ] == f'model_checkpoint_path: "model.ckpt-{step}"'


def damage_manifest(bucket: Bucket, folder: str) -> None:
    bucket.store.put(f"{folder}/MANIFEST.json", b"{")


def damage_data(bucket: Bucket, folder: str) -> None:
    bucket.store.put(f"{folder}/model.ckpt-200.data-00000-of-00001", b"epoch 1 step 2OO")


def delete_data(bucket: Bucket, folder: str) -> None:
    bucket.store.delete(f"{folder}/model.ckpt-200.data-00000-of-00001")


def delete_manifest(bucket: Bucket, folder: str) -> None:
    bucket.store.delete(f"{folder}/MANIFEST.json")


def test_the_first_attempt_continues_another_run(bucket: Bucket) -> None:
    other = bucket.other_run()
    other.checkpoint(12, 10)
    other.checkpoint(30, 20)
    found, shared = bucket.fetch(epoch=2)
    assert (found.resumed_from, found.own, found.steps_lost) == (20, None, 0)
    assert found.spec["resumedFromStep"] == 20
    assert (shared / "model" / "model.ckpt-20.index").read_text() == "epoch 30 step 20"
    assert '"model.ckpt-20"' in (shared / "model" / "checkpoint").read_text()


def test_later_attempts_use_checkpoints_of_their_own(bucket: Bucket) -> None:
    bucket.other_run().checkpoint(30, 20)
    bucket.checkpoint(1, 25)
    found, shared = bucket.fetch(epoch=2)
    assert (found.resumed_from, found.own) == (25, found.resumed)
    assert (shared / "model" / "model.ckpt-25.index").read_text() == "epoch 1 step 25"


def test_an_attempt_without_a_checkpoint_loses_its_own_steps_only(bucket: Bucket, fake_clock: Any) -> None:
    bucket.other_run().checkpoint(30, 20)
    last = LastStep(bucket.store, bucket.attempt(1), fake_clock, resumed_from=20)
    last.reached(27, 1.0)
    last.write()
    found, _ = bucket.fetch(epoch=2)
    assert (found.resumed_from, found.steps_lost) == (20, 7)


@pytest.mark.parametrize("spoil", [delete_data, delete_manifest], ids=["data gone", "all gone"])
def test_a_checkpoint_that_disappears_falls_back_to_the_one_before(
    bucket: Bucket, spoil: Callable[[Bucket, str], None]
) -> None:
    other = bucket.other_run()
    other.checkpoint(1, 10)
    bucket.run.document["train"]["steps"] = 300
    spoil(bucket, other.checkpoint(1, 200))
    found, _ = bucket.fetch(epoch=2)
    assert found.resumed_from == 10


@pytest.mark.parametrize("steps", [[], [30, 40]], ids=["none left", "none below train.steps"])
def test_checkpoints_that_are_gone_end_training_rather_than_begin_it_anew(bucket: Bucket, steps: list[int]) -> None:
    other = bucket.other_run()
    for step in steps:
        other.checkpoint(1, step)
    with pytest.raises(UserError) as caught:
        bucket.fetch(epoch=2)
    place = f"s3://{bucket.store.bucket}/lab/runs/team/old-99999999/"
    assert caught.value.reason == "ResumeFromNoCheckpoint"
    assert caught.value.message == (
        f"spec.resumeFrom: the checkpoints below {place}train/ were there when this run began, and are gone"
    )


@pytest.mark.parametrize("damage", [damage_manifest, damage_data, delete_data, delete_manifest])
def test_damaged_checkpoint_falls_back_to_the_previous_one(
    bucket: Bucket, damage: Callable[[Bucket, str], None]
) -> None:
    bucket.checkpoint(1, 100)
    damage(bucket, bucket.checkpoint(1, 200))
    found, _ = bucket.fetch()
    assert found.resumed_from == 100


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["model.ckpt-200.index"], id="no data"),
        pytest.param(["model.ckpt-200.index", "checkpoint"], id="another name"),
        pytest.param(["model.ckpt-200.index", "model.ckpt-200.data-00000-of-00002"], id="half of the data"),
    ],
)
def test_manifest_must_name_a_complete_checkpoint(bucket: Bucket, names: list[str]) -> None:
    bucket.checkpoint(1, 100)
    bucket.checkpoint(1, 200, names=names)
    found, _ = bucket.fetch()
    assert found.resumed_from == 100


def test_steps_made_after_the_checkpoint_are_counted_as_lost(bucket: Bucket, fake_clock: Any) -> None:
    bucket.checkpoint(1, 100)
    last = LastStep(bucket.store, bucket.attempt(1), fake_clock, resumed_from=0)
    last.reached(130, 5.0)
    last.write()
    last.reached(140, 6.0)
    last.write()
    found, _ = bucket.fetch()
    assert (found.resumed_from, found.steps_lost) == (100, 30)
    fake_clock.sleep(15)
    last.write()
    found, _ = bucket.fetch()
    assert found.steps_lost == 40


def test_listing_attempts_costs_two_requests_each_whatever_they_hold(bucket: Bucket) -> None:
    for epoch in (1, 2, 3):
        bucket.checkpoint(epoch, 10)
        for offset in range(20):
            bucket.store.put(bucket.attempt(epoch).event_chunk("train", "events.out.tfevents.1.h", offset), b"x")
    requests: list[str] = []
    real = bucket.store.list

    class Counting:
        def list(self, prefix: str, **options: Any) -> Iterator[Any]:
            requests.append(prefix)
            return real(prefix, **options)

    stored = stored_checkpoints(Counting(), bucket.run.run_keys, before_epoch=9)  # type: ignore[arg-type]
    assert [checkpoint.epoch for checkpoint in stored] == [3, 2, 1]
    assert len(requests) == 3 * 2 + 1


def test_one_failure_ends_the_other_transfers(run: Any) -> None:
    context = run.pod("train")
    meter = Meter(context.progress, context.stop)
    moved = 0

    def endless() -> None:
        nonlocal moved
        while True:
            meter.moved(1)
            moved += 1

    def fail() -> None:
        raise IntegrityError(where="model.ckpt", found="3 bytes", expected="4 bytes")

    def transfer_all() -> None:
        with Transfers(meter) as transfers:
            for transfer in (endless, endless, fail):
                transfers.start(transfer)

    with pytest.raises(IntegrityError, match="3 bytes, expected 4 bytes"):
        transfer_all()
    assert moved > 0


def test_sigterm_ends_a_running_download(run: Any) -> None:
    context = run.pod("train")
    meter = Meter(context.progress, context.stop)
    meter.moved(5)
    context.stop.set()
    with pytest.raises(Interrupted):
        meter.moved(5)
    meter.moved(-5)
    assert context.progress.snapshot()["done"] == 0


def tarball(names: list[str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
    return stream.getvalue()


def fetch_pretrained(bucket: Bucket, key: str) -> Path:
    context = bucket.run.pod("train")
    meter = Meter(context.progress, context.stop)
    with Folder.open(context.config.shared) as folder:
        fetch_weights(bucket.store, Uri(bucket.store.bucket, key), shared=folder, meter=meter)
    return Path(context.config.shared / "pretrained")


def test_weights_come_out_of_a_zoo_tarball(bucket: Bucket) -> None:
    names = ["model.ckpt.index", "model.ckpt.data-00000-of-00001", "model.ckpt.meta", "pipeline.config"]
    bucket.store.put("zoo/net.tar.gz", tarball([f"net_2018/{name}" for name in names]))
    folder = fetch_pretrained(bucket, "zoo/net.tar.gz")
    assert {"model.ckpt.index", "model.ckpt.data-00000-of-00001"} <= {path.name for path in folder.iterdir()}
    assert "pipeline.config" not in {path.name for path in folder.iterdir()}
    assert list((folder.parent / "spool").iterdir()) == []


def test_weights_come_from_the_export_of_another_run(bucket: Bucket) -> None:
    names = ["checkpoint/model.ckpt.index", "checkpoint/model.ckpt.data-00000-of-00001", "frozen_inference_graph.pb"]
    objects = []
    for name in names:
        bucket.store.put(f"other/export/{name}", name.encode())
        objects.append(ManifestObject(name, len(name), hashlib.sha256(name.encode()).hexdigest(), "checkpoint"))
    manifest = Manifest("export", Producer("p", 3), "2026-01-01T00:00:00Z", tuple(objects), step=5)
    manifests.write(bucket.store, "other/export", manifest)
    folder = fetch_pretrained(bucket, "other/export/")
    assert (folder / "model.ckpt.index").read_text() == names[0]
    assert sorted(path.name for path in folder.iterdir()) == ["model.ckpt.data-00000-of-00001", "model.ckpt.index"]


CONFIG = b"model { ssd { num_classes: 1 feature_extractor { type: 'x' } } }"
TIRE, WHEEL = b"item { id: 1 name: 'tire' }", b"item { id: 1 name: 'wheel' }"


def scope_from_export(bucket: Bucket, **texts: bytes | None) -> tuple[Any, set[str]]:
    """Fetch for training from an export with these texts, of which None is promised but gone; returns its scope."""
    stored = {
        "checkpoint/model.ckpt.index": b"index",
        "checkpoint/model.ckpt.data-00000-of-00001": b"data",
        **{name.replace("_config", ".config").replace("_pbtxt", ".pbtxt"): data for name, data in texts.items()},
    }
    objects = []
    for name, data in stored.items():
        if data is not None:
            bucket.store.put(f"old/export/{name}", data)
        objects.append(ManifestObject(name, len(data or b""), hashlib.sha256(data or b"").hexdigest(), "role"))
    manifest = Manifest("export", Producer("p", 3), "2026-01-01T00:00:00Z", tuple(objects), step=5)
    manifests.write(bucket.store, "old/export", manifest)
    bucket.store.put(f"{bucket.run.prefix}/pipeline.config", CONFIG)
    bucket.run.document["model"]["pretrained"] = {"bucket": bucket.store.bucket, "key": "old/export/"}
    found, shared = bucket.fetch()
    assert found.start is not None
    assert found.spec["pretrained"] == "pretrained/model.ckpt"
    assert found.spec["pretrainedScope"] == found.start.scope
    return found.start, {path.name for path in (shared / "pretrained").iterdir()}


@pytest.mark.parametrize(
    ("texts", "scope", "why"),
    [
        ({"pipeline_config": CONFIG, "label_map_pbtxt": TIRE}, "all", ""),
        ({"pipeline_config": CONFIG, "label_map_pbtxt": WHEEL}, "allButClasses", "differ (tire; there: wheel)"),
        ({"pipeline_config": CONFIG, "label_map_pbtxt": None}, "featureExtractor", "no readable label_map.pbtxt"),
        ({"pipeline_config": CONFIG}, "featureExtractor", "no readable label_map.pbtxt"),
        ({"pipeline_config": None, "label_map_pbtxt": TIRE}, "featureExtractor", "no readable pipeline.config"),
        ({"pipeline_config": b"\xff", "label_map_pbtxt": TIRE}, "featureExtractor", "no readable pipeline.config"),
    ],
    ids=["same", "other classes", "label map gone", "no label map", "config gone", "config is no text"],
)
def test_what_an_export_says_of_itself_decides_what_is_loaded(
    bucket: Bucket, texts: dict[str, bytes | None], scope: str, why: str
) -> None:
    start, files = scope_from_export(bucket, **texts)
    assert start.scope == scope
    assert why in start.why
    assert files == {"model.ckpt.index", "model.ckpt.data-00000-of-00001"}


def test_a_label_map_that_was_replaced_is_not_believed(bucket: Bucket) -> None:
    scope_from_export(bucket, pipeline_config=CONFIG, label_map_pbtxt=WHEEL)
    bucket.store.put("old/export/label_map.pbtxt", TIRE)
    found, _ = bucket.fetch()
    assert found.start is not None
    assert found.start.scope == "featureExtractor"


def test_training_without_weights_names_no_scope(bucket: Bucket) -> None:
    found, _ = bucket.fetch()
    assert found.start is None
    assert (found.spec["pretrained"], "pretrainedScope" in found.spec) == (None, False)


@pytest.mark.parametrize("key", ["zoo/absent.tar.gz", "zoo/absent/"])
def test_absent_weights_name_the_field_and_the_address(bucket: Bucket, key: str) -> None:
    with pytest.raises(UserError, match=rf"spec\.model\.pretrained: .*{key}"):
        fetch_pretrained(bucket, key)


def test_checkpoint_folder_is_no_export(bucket: Bucket) -> None:
    folder = bucket.checkpoint(1, 100)
    with pytest.raises(UserError, match="names no checkpoint"):
        fetch_pretrained(bucket, f"{folder}/")


@pytest.mark.parametrize("suffix", ["", ".partial"])
def test_a_link_planted_where_a_download_goes_is_not_written_through(
    bucket: Bucket, tmp_path: Path, suffix: str
) -> None:
    """The trainer may plant links before the agent writes, for example to the agent's writable termination log."""
    target = tmp_path / "termination-log"
    target.write_text("mine")
    context = bucket.run.pod("train")
    shared = context.config.shared
    (shared / "dataset").mkdir()
    for name in names_of(bucket):
        (shared / "dataset" / f"{name}{suffix}").symlink_to(target)
    with Folder.open(shared) as folder:
        fetch_train(context, folder, epoch=9, while_waiting=lambda: None)
    assert target.read_text() == "mine"
    assert [path.name for path in (shared / "dataset").iterdir() if path.is_symlink()] == []


def names_of(bucket: Bucket) -> list[str]:
    """Names of the files that a fetch puts into the folder of the data set."""
    _, shared = bucket.fetch()
    return [path.name for path in (shared / "dataset").iterdir()]
