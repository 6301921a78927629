"""Prep checks pretrained weights before a GPU is reserved: the exact message for each defect."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

import zoo
from trainingrun_agent.attempt_record import AttemptRecord
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import StageError, UserError
from trainingrun_agent.pipeline.build import build_pipeline_config
from trainingrun_agent.progress import Progress
from trainingrun_agent.stages import prep
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.manifest import Manifest, ManifestObject, Producer
from trainingrun_agent.storage.s3 import S3Store
from voc_data import jpeg, voc

pytestmark = pytest.mark.contract
ARCHIVE = "zoo/ssd_inception_v2_coco_2018_01_28.tar.gz"
SCOPE = "FeatureExtractor/InceptionV2/"
INDEX, DATA = zoo.index_of(zoo.SSD_INCEPTION)


_ENDS = {"index": "index", "data": "data-00000-of-00001"}


class Setup:
    """A bucket with images, and a prep that starts from weights."""

    def __init__(self, config: Callable[[], AgentConfig], document: dict[str, Any], store: S3Store) -> None:
        self._config, self._document, self.store = config, document, store
        for key in ("tire/images/train/0", "tire/images/test/0"):
            store.put(f"{key}.jpg", jpeg())
            store.put(f"{key}.xml", voc())

    def prepare(self, key: str = ARCHIVE, **pretrained: str) -> str:
        self._document["model"]["pretrained"] = {"bucket": self.store.bucket, "key": key, **pretrained}
        config = self._config()
        progress, clock = Progress(stage="prep", pod_uid=config.pod_uid), Clock()
        record = AttemptRecord(clock, progress)
        result = prep.run(StageContext(config, lambda _: self.store, progress, threading.Event(), clock, record))
        assert [path.name for path in config.shared.rglob("*") if path.is_file()] == []  # no weights are left
        return result.entry.name

    def export(self, texts: dict[str, str] | None = None, **files: bytes) -> None:
        """Store an export folder of an earlier run."""
        objects = []
        named = {f"checkpoint/model.ckpt.{_ENDS[name]}": data for name, data in files.items()}
        for key, data in (named | {name: text.encode() for name, text in (texts or {}).items()}).items():
            self.store.put(f"old/export/{key}", data)
            objects.append(ManifestObject(key, len(data), hashlib.sha256(data).hexdigest(), "checkpoint"))
        manifest = Manifest("export", Producer("p", 3), "2026-01-01T00:00:00Z", tuple(objects), step=5)
        manifests.write(self.store, "old/export", manifest)


@pytest.fixture
def setup(
    s3_config: AgentConfig, s3_store: S3Store, make_config: Callable[..., AgentConfig], document: dict[str, Any]
) -> Setup:
    return Setup(make_config, document, s3_store)


def test_weights_of_the_network_pass(setup: Setup) -> None:
    setup.store.put(ARCHIVE, zoo.zoo_archive())
    assert setup.prepare() == "Prepared"


def test_the_export_of_a_run_passes(setup: Setup) -> None:
    setup.export(index=INDEX, data=DATA)
    assert setup.prepare("old/export/") == "Prepared"


TIRE, WHEEL = (f"item {{ id: 1 name: '{name}' }}" for name in ("tire", "wheel"))


def config_of(network: str) -> str:
    return build_pipeline_config(
        network=network,
        num_classes=1,
        steps=100,
        batch_size=4,
        learning_rate="0.004",
        shuffle_buffer=1,
        max_boxes_per_image=1,
        pretrained=False,
    )


def test_everything_of_an_export_of_the_same_network_and_classes_passes(setup: Setup) -> None:
    setup.export({"pipeline.config": config_of("ssd_inception_v2"), "label_map.pbtxt": TIRE}, index=INDEX, data=DATA)
    assert setup.prepare("old/export/", scope="all") == "Prepared"


@pytest.mark.parametrize(
    ("texts", "anew", "why"),
    [
        (
            {"pipeline.config": config_of("ssd_inception_v2"), "label_map.pbtxt": WHEEL},
            "the class heads",
            "the classes differ (tire; there: wheel)",
        ),
        (
            {"pipeline.config": config_of("ssd_mobilenet_v1"), "label_map.pbtxt": TIRE},
            "everything but the feature extractor",
            "the export is of another network (differs in box_predictor, feature_extractor)",
        ),
        (
            {"pipeline.config": config_of("ssd_inception_v2")},
            "everything but the feature extractor",
            "the export has no readable label_map.pbtxt",
        ),
        (None, "everything but the feature extractor", "an archive does not name its classes"),
    ],
    ids=["other classes", "another network", "no label map", "archive"],
)
def test_everything_is_refused_where_a_part_would_start_anew(
    setup: Setup, texts: dict[str, str] | None, anew: str, why: str
) -> None:
    key = "old/export/" if texts else ARCHIVE
    setup.store.put(ARCHIVE, zoo.zoo_archive())
    setup.export(texts, index=INDEX, data=DATA)
    with pytest.raises(UserError) as caught:
        setup.prepare(key, scope="all")
    place = f"s3://{setup.store.bucket}/{key}"
    assert caught.value.reason == "PretrainedMismatch"
    assert caught.value.message == (
        f"spec.model.pretrained.scope is all, but {anew} cannot be loaded from {place}: {why}"
    )
    assert caught.value.hint == (
        "Create a new TrainingRun with spec.model.pretrained.scope: auto (now all): what fits is then loaded, the rest "
        "starts anew. Or use the export of a run with the same network and the same classes in the same order."
    )
    assert setup.prepare(key) == "Prepared"


def tampered(**files: bytes) -> bytes:
    return zoo.archive({zoo.INDEX: INDEX, zoo.DATA: DATA} | {getattr(zoo, name): data for name, data in files.items()})


OTHER = "Create a new TrainingRun with another spec.model.pretrained.uri"
USE = (
    f"{OTHER}: a .tar.gz of the TensorFlow 1 detection model zoo, or the export folder of a run. If only the upload was"
    " broken, upload it again and raise spec.retry."
)
NO_INDEX = "{uri} holds model.ckpt.index, which is not the index of a checkpoint: "
ARCHIVES = {
    "a web page": (
        b"<!DOCTYPE html><title>404 Not Found</title>",
        "PretrainedUnusable",
        "{uri} is not a complete .tar.gz or .tar archive: ",
        USE,
    ),
    "cut": (
        zoo.archive({zoo.INDEX: INDEX, zoo.DATA: hashlib.shake_128(b"x").digest(9000)})[:-4000],
        "PretrainedUnusable",
        "{uri} is not a complete .tar.gz or .tar archive: ",
        USE,
    ),
    "another archive": (
        zoo.archive({"photo.jpg": b"x"}),
        "PretrainedUnusable",
        f"{{uri}} holds no {zoo.INDEX} and no {zoo.DATA}",
        USE,
    ),
    "broken index": (tampered(INDEX=b"<html>" * 99), "PretrainedUnusable", NO_INDEX + "it does not end like one", USE),
    "data cut": (
        tampered(DATA=DATA[:-1]),
        "PretrainedUnusable",
        f"the weights in {{uri}} have {len(DATA) - 1} bytes of data, their index names {len(DATA)}",
        "Index and data are of different checkpoints, or the data was cut: upload both again, then raise spec.retry.",
    ),
    "of another network": (
        zoo.zoo_archive(zoo.MOBILENET_WIDE),
        "PretrainedMismatch",
        (
            f"the weights in {{uri}} have no variable below {SCOPE}, where ssd_inception_v2 has its own; "
            "they are of ssd_mobilenet_v1"
        ),
        (
            "Create a new TrainingRun with spec.model.network: ssd_mobilenet_v1 (now ssd_inception_v2); or, to keep the"
            " network, create a new TrainingRun with another spec.model.pretrained.uri."
        ),
    ),
    "of a classifier": (
        zoo.zoo_archive({"InceptionV2/Logits/biases": (1001,)}),
        "PretrainedMismatch",
        (
            f"the weights in {{uri}} have no variable below {SCOPE}, where ssd_inception_v2 has its own; "
            "they are of none of the networks, and begin with InceptionV2/Logits/biases"
        ),
        f"{OTHER}: weights of spec.model.network.",
    ),
}


@pytest.mark.parametrize(("data", "reason", "message", "hint"), ARCHIVES.values(), ids=ARCHIVES)
def test_weights_that_cannot_be_used_end_prep(setup: Setup, data: bytes, reason: str, message: str, hint: str) -> None:
    setup.store.put(ARCHIVE, data)
    with pytest.raises(UserError) as caught:
        setup.prepare()
    uri = f"s3://{setup.store.bucket}/{ARCHIVE}"
    assert (caught.value.reason, caught.value.hint) == (reason, hint)
    assert caught.value.message.startswith(f"spec.model.pretrained: {message.format(uri=uri)}")
    if not message.endswith(": "):  # the rest is the message of the library
        assert caught.value.message == f"spec.model.pretrained: {message.format(uri=uri)}"


def test_weights_that_are_not_there_end_prep(setup: Setup) -> None:
    with pytest.raises(UserError) as caught:
        setup.prepare("zoo/Typo.tar.gz")
    assert caught.value.reason == "PretrainedNotFound"
    assert caught.value.message == f"spec.model.pretrained: no object at s3://{setup.store.bucket}/zoo/Typo.tar.gz"
    assert caught.value.hint == (
        "Upload the weights there, then raise spec.retry. If the address is wrong (case matters), create a new"
        " TrainingRun with another spec.model.pretrained.uri."
    )


def test_the_export_of_another_network_ends_prep(setup: Setup) -> None:
    index, data = zoo.index_of(zoo.MOBILENET_NARROW)
    setup.export(index=index, data=data)
    with pytest.raises(UserError) as caught:
        setup.prepare("old/export/")
    assert caught.value.message == (
        f"spec.model.pretrained: the weights in s3://{setup.store.bucket}/old/export/ have no variable below {SCOPE}, "
        "where ssd_inception_v2 has its own; they are of ssd_mobilenet_v1_0.25_128"
    )


def archive_with(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """Good weights, and one more member."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        extra = tarfile.TarInfo(name)
        extra.type, extra.linkname, extra.size = kind, link, len(INDEX) if kind == tarfile.REGTYPE else 0
        tar.addfile(extra, io.BytesIO(INDEX))
        for member, data in ((zoo.INDEX, INDEX), (zoo.DATA, DATA)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return made.getvalue()


def files_outside_of_scratch(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if path.is_file() and not path.is_relative_to(root / "shared")}


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../../planted/model.ckpt.index", tarfile.REGTYPE, ""),
        ("{outside}/model.ckpt.index", tarfile.REGTYPE, ""),
        ("model.ckpt.index", tarfile.SYMTYPE, "{outside}/model.ckpt.index"),
        ("model.ckpt.index", tarfile.LNKTYPE, "{outside}/secret"),
        ("model.ckpt.data-00000-of-00001", tarfile.CHRTYPE, ""),
        ("model.ckpt.data-00000-of-00001", tarfile.FIFOTYPE, ""),
    ],
    ids=["dots", "absolute", "symbolic link", "hard link", "device", "FIFO"],
)
def test_an_archive_that_leads_out_of_its_folder_ends_prep(
    setup: Setup, tmp_path: Path, name: str, kind: bytes, link: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"canary")
    before = files_outside_of_scratch(tmp_path)
    data = archive_with(name.format(outside=outside), kind, link.format(outside=outside))
    setup.store.put(ARCHIVE, data)
    with pytest.raises(UserError) as caught:
        setup.prepare()
    assert caught.value.reason == "PretrainedUnusable"
    assert files_outside_of_scratch(tmp_path) <= before | {tmp_path / "resolved.json"}
    assert [
        info.key for info in setup.store.list("") if b"canary" in setup.store.get(info.key, max_bytes=1 << 24)
    ] == []


@pytest.mark.parametrize("key", ["../../secret", "checkpoint/../../../secret", "/secret", "checkpoint//x", "."])
def test_a_forged_export_reads_no_other_object_of_the_bucket(setup: Setup, key: str) -> None:
    setup.store.put("secret", INDEX)
    setup.export(index=INDEX, data=DATA)
    document = json.loads(setup.store.get("old/export/MANIFEST.json", max_bytes=1 << 20))
    document["objects"][0]["key"] = key
    setup.store.put("old/export/MANIFEST.json", json.dumps(document).encode())
    read: list[str] = []
    setup.store = cast("S3Store", Recording(setup.store, read))
    with pytest.raises(StageError) as caught:
        setup.prepare("old/export/")
    assert caught.value.reason == "PretrainedUnusable"
    assert read != []
    assert all(one.startswith(("old/export/", "tire/images/", "ml/vision/")) for one in read)


class Recording:
    """A store that notes which objects are read."""

    def __init__(self, store: S3Store, read: list[str]) -> None:
        self._store, self._read = store, read

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in {"get", "get_range", "download", "head"}:
            return found

        def noted(key: str, *arguments: Any, **options: Any) -> Any:
            self._read.append(key)
            return found(key, *arguments, **options)

        return noted
