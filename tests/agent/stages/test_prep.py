"""Stage prep from a folder of labelled images to prepared.json, and every way it can end early."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from stage_verdict import verdict_of
from trainingrun_agent.attempt_record import AttemptRecord
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig, SplitRule
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import Interrupted, Outcome, StageError, UserError
from trainingrun_agent.keys import BucketKeys
from trainingrun_agent.prep.split import shards
from trainingrun_agent.prep.split.eval_fraction import split_of
from trainingrun_agent.progress import Progress
from trainingrun_agent.stages import prep, pretrained_check
from trainingrun_agent.storage import manifest
from trainingrun_agent.storage.s3 import S3Store
from trainingrun_agent.training_settings import Uri

pytestmark = pytest.mark.contract
RUN = "ml/vision/runs/team-a/tire-0123abcd"
LABEL = """<annotation><filename>{name}</filename>
<size><width>64</width><height>48</height><depth>3</depth></size>
<object><name>tire</name><bndbox><xmin>5</xmin><ymin>6</ymin><xmax>40</xmax><ymax>30</ymax></bndbox></object>
</annotation>"""


def _fill(store: S3Store, folder: str, count: int) -> None:
    for number in range(count):
        picture = io.BytesIO()
        Image.new("RGB", (64, 48), (number * 20, 90, 30 if "train" in folder else 200)).save(picture, "JPEG")
        store.put(f"{folder}{number}.jpg", picture.getvalue())
        store.put(f"{folder}{number}.xml", LABEL.format(name=f"{number}.jpg").encode())


@pytest.fixture
def images(s3_store: S3Store) -> S3Store:
    """A bucket with six train and two eval images."""
    _fill(s3_store, "tire/images/train/", 6)
    _fill(s3_store, "tire/images/test/", 2)
    return s3_store


@pytest.fixture
def make_context(s3_config: AgentConfig) -> Callable[[S3Store], StageContext]:
    """Make a context with this store, for a new pod."""

    def make(store: S3Store) -> StageContext:
        progress, clock = Progress(stage="prep", pod_uid=s3_config.pod_uid), Clock()
        return StageContext(
            s3_config, lambda _: store, progress, threading.Event(), clock, AttemptRecord(clock, progress)
        )

    return make


def _document(store: S3Store, name: str) -> Any:
    return json.loads(store.get(f"{RUN}/{name}", max_bytes=1 << 20))


def _check_numbers(numbers: Any, definition: str = "prep") -> None:
    path = Path(__file__).parents[3] / "images" / "contracts" / "verdict.schema.json"
    schema = json.loads(path.read_text())
    Draft202012Validator({**schema["$defs"][definition], "$defs": schema["$defs"]}).validate(numbers)


def test_a_first_run_writes_all_documented_objects(
    images: S3Store,
    make_context: Callable[[S3Store], StageContext],
    contract: Callable[[str, Any], None],
    document: dict[str, Any],
) -> None:
    context = make_context(images)
    verdict = verdict_of(prep, context)
    assert (verdict.outcome, verdict.reason, verdict.epoch) == (Outcome.SUCCEEDED, "Prepared", 1)
    assert verdict.message == "Prepared 6 train and 2 eval images with pascalVOC labels."
    contract("verdict", verdict.to_json())
    _check_numbers(verdict.numbers)
    result = _document(images, "prepared.json")
    contract("stage-result", result)
    assert (result["epoch"], result["podUID"]) == (1, context.config.pod_uid)
    assert verdict.numbers["resultKey"] == f"{RUN}/prepared.json".removeprefix("ml/vision/")
    dataset = manifest.read(images, f"ml/vision/{result['manifestKey']}")
    assert sum(entry.images or 0 for entry in dataset.objects) == 8
    assert (dataset.producer.pod_uid, dataset.producer.epoch) == (context.config.pod_uid, 1)
    assert _document(images, "run.json")["resolved"] == document
    assert images.get(f"{RUN}/pipeline.config", max_bytes=1 << 20).startswith(b"model {")
    assert [info.key for info in images.list(f"{RUN}/")] == [
        f"{RUN}/{name}" for name in ("epochs/0001.json", "pipeline.config", "prepared.json", "run.json")
    ]


def test_the_success_message_counts_errors_and_warnings(
    images: S3Store, make_context: Callable[[S3Store], StageContext]
) -> None:
    for number, (old, new) in enumerate([("</annotation>", ""), ("<xmax>40", "<xmax>99"), ("<ymax>30", "<ymax>99")]):
        images.put(f"tire/images/train/{number}.xml", LABEL.replace(old, new).format(name=f"{number}.jpg").encode())
    context = make_context(images)
    generous = replace(context.config.resolved.dataset, max_bad_files="1")
    resolved = replace(context.config.resolved, dataset=generous)
    verdict = verdict_of(prep, replace(context, config=replace(context.config, resolved=resolved)))
    assert (
        verdict.message
        == "Prepared 5 train and 2 eval images with pascalVOC labels; the report has 1 error and 2 warnings."
    )


def test_a_fraction_of_one_folder_is_for_evaluation(
    s3_store: S3Store, make_context: Callable[[S3Store], StageContext]
) -> None:
    _fill(s3_store, "tire/images/train/", 12)
    rule = SplitRule(Decimal("0.3"), 0, "sequence")
    context = make_context(s3_store)
    dataset = replace(context.config.resolved.dataset, eval=None, split=rule)
    resolved = replace(context.config.resolved, dataset=dataset)
    verdict = verdict_of(prep, replace(context, config=replace(context.config, resolved=resolved)))
    _check_numbers(verdict.numbers)
    chosen = [number for number in range(12) if split_of(f"{number}.jpg", rule) == "eval"]
    assert 0 < len(chosen) < 12
    assert (verdict.numbers["trainImages"], verdict.numbers["evalImages"]) == (12 - len(chosen), len(chosen))


def test_a_later_attempt_uses_the_result(images: S3Store, make_context: Callable[[S3Store], StageContext]) -> None:
    first = verdict_of(prep, make_context(images))
    images.delete("tire/images/train/0.jpg")
    again = verdict_of(prep, make_context(images))
    assert (again.outcome, again.epoch) == (Outcome.SUCCEEDED, 2)
    assert again.message == "An earlier attempt prepared 6 train and 2 eval images with pascalVOC labels."
    assert again.numbers == {**first.numbers, "reused": True}
    assert _document(images, "prepared.json")["epoch"] == 1


def test_a_result_holds_no_sentences_and_a_later_attempt_shows_them_again(
    images: S3Store, make_context: Callable[[S3Store], StageContext]
) -> None:
    images.put("tire/images/train/0.xml", LABEL.replace("<xmax>40", "<xmax>99").format(name="0.jpg").encode())
    first = verdict_of(prep, make_context(images))
    assert first.numbers["topFindings"][0].startswith("train: 0.xml object 0: BoxClipped: ")
    assert "topFindings" not in _document(images, "prepared.json")["numbers"]
    assert verdict_of(prep, make_context(images)).numbers == {**first.numbers, "reused": True}


@pytest.mark.parametrize("lost", ["manifest", "shard", "cut shard"])
def test_a_result_whose_objects_are_gone_is_made_again(
    images: S3Store, make_context: Callable[[S3Store], StageContext], lost: str
) -> None:
    verdict_of(prep, make_context(images))
    key = f"ml/vision/{_document(images, 'prepared.json')['manifestKey']}"
    shard = manifest.read(images, key).objects[0]
    where = BucketKeys("ml/vision").manifest_entry(shard.key, folder=key.rpartition("/")[0])
    if lost == "cut shard":
        images.put(where, b"cut")
    else:
        images.delete(key if lost == "manifest" else where)
    verdict = verdict_of(prep, make_context(images))
    assert (verdict.outcome, verdict.epoch) == (Outcome.SUCCEEDED, 2)
    assert _document(images, "prepared.json")["epoch"] == 2
    info = images.head(where)
    assert info is not None
    assert info.size == shard.size


def test_an_empty_prefix_writes_nothing(s3_store: S3Store, make_context: Callable[[S3Store], StageContext]) -> None:
    with pytest.raises(StageError) as caught:
        prep.run(make_context(s3_store))
    assert caught.value.reason == "EmptyPrefix"
    assert list(s3_store.list("")) == []


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("zoo/model.tar.gz", True),
        ("zoo/modle.tar.gz", False),
        ("zoo/", True),
        ("zo/", False),
    ],
    ids=["object", "typo", "folder", "typo in folder"],
)
def test_a_typo_in_pretrained_costs_no_gpu(images: S3Store, key: str, found: bool) -> None:
    images.put("zoo/model.tar.gz", b"x")
    uri = Uri(images.bucket, key)
    if found:
        pretrained_check.check_exists(lambda _: images, uri)
        return
    with pytest.raises(UserError, match=rf"spec\.model\.pretrained: no object at s3://{images.bucket}/{key}") as caught:
        pretrained_check.check_exists(lambda _: images, uri)
    assert caught.value.reason == "PretrainedNotFound"


def test_a_stopped_pod_claims_no_epoch(images: S3Store, make_context: Callable[[S3Store], StageContext]) -> None:
    context = make_context(images)
    context.stop.set()
    with pytest.raises(Interrupted):
        prep.run(context)
    assert list(images.list(f"{RUN}/")) == []


def test_ignored_conditions_are_shown_and_do_not_end_the_run(
    images: S3Store, make_context: Callable[[S3Store], StageContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    put = S3Store.put
    monkeypatch.setattr(S3Store, "put", lambda self, key, data, if_absent=False: put(self, key, data))
    context = make_context(images)
    verdict = verdict_of(prep, context)
    assert verdict.outcome is Outcome.SUCCEEDED
    assert verdict.numbers["storageWarning"].startswith("ConditionalWritesIgnored: ")
    assert context.progress.snapshot()["storage"] == {
        "ready": True,
        "reason": "ConditionalWritesIgnored",
        "message": verdict.numbers["storageWarning"],
    }


@pytest.fixture
def many_shards(images: S3Store, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """The six train images are in eight shards."""
    size = sum(info.size for info in images.list("tire/images/train/") if info.key.endswith(".jpg"))
    monkeypatch.setattr(shards, "TARGET_BYTES", size // 7)
    return images


class _Images:
    """Counts the images that a pod reads; SIGTERM arrives before it reads the one after `last`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, context: StageContext, *, last: int) -> None:
        self.read: list[str] = []
        get = S3Store.get

        def counted(store: S3Store, key: str, *, max_bytes: int, etag: str = "") -> bytes:
            if key.endswith(".jpg"):
                if len(self.read) == last:
                    context.stop.set()
                    raise Interrupted
                self.read.append(key)
            return get(store, key, max_bytes=max_bytes, etag=etag)

        monkeypatch.setattr(S3Store, "get", counted)


def test_an_interrupted_attempt_reports_how_far_it_got_and_the_next_one_goes_on_there(
    many_shards: S3Store,
    make_context: Callable[[S3Store], StageContext],
    contract: Callable[[str, Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The report reads some images again.
    monkeypatch.setattr("trainingrun_agent.prep.prepare.gallery", lambda *_, **__: ())
    context = make_context(many_shards)
    with monkeypatch.context() as patch:
        _Images(patch, context, last=4)
        verdict = verdict_of(prep, context)
    contract("verdict", verdict.to_json())
    contract("progress", context.progress.snapshot())
    _check_numbers(verdict.numbers, "unfinishedPrep")
    saved = verdict.numbers["savedImages"]
    assert (verdict.outcome, verdict.reason, verdict.numbers["images"]) == (Outcome.INTERRUPTED, "Interrupted", 8)
    assert 0 < saved <= 4
    assert verdict.message == f"SIGTERM arrived before the data set was complete; {saved} of 8 images are saved"
    again = make_context(many_shards)
    images = _Images(monkeypatch, again, last=9)
    assert verdict_of(prep, again).outcome is Outcome.SUCCEEDED
    assert len(images.read) == 8 - saved
    assert [info.key for info in many_shards.list("ml/vision/datasets/unfinished/")] == []


def test_a_refused_preparation_reports_that_its_images_are_saved(
    many_shards: S3Store, make_context: Callable[[S3Store], StageContext]
) -> None:
    many_shards.put("tire/images/train/0.jpg", b"no image")
    verdict = verdict_of(prep, make_context(many_shards))
    assert (verdict.outcome, verdict.numbers) == (Outcome.USER_ERROR, {"images": 8, "savedImages": 8})
