"""Stage prep with wishes for the configuration: a file of the user's, overrides, and what is stored about them."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline_wishes import FASTER, SSD, default
from trainingrun_agent.attempt_record import AttemptRecord
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import UserError
from trainingrun_agent.progress import Progress
from trainingrun_agent.stages import prep
from trainingrun_agent.storage.s3 import S3Store
from trainingrun_agent.training_settings import ConfigMapKey, Uri

pytestmark = pytest.mark.contract
RUN = "ml/vision/runs/team-a/tire-0123abcd"
LABEL = """<annotation><filename>{name}</filename>
<size><width>64</width><height>48</height><depth>3</depth></size>
<object><name>tire</name><bndbox><xmin>5</xmin><ymin>6</ymin><xmax>40</xmax><ymax>30</ymax></bndbox></object>
</annotation>"""
NMS = "model.ssd.post_processing.batch_non_max_suppression"

Prepare = Callable[..., Any]


@pytest.fixture
def prepare(s3_store: S3Store, s3_config: AgentConfig) -> Prepare:
    """Prepare a few images with these changes of the resolved spec."""
    for split, count in (("train", 3), ("test", 1)):
        for number in range(count):
            picture = io.BytesIO()
            Image.new("RGB", (64, 48), (number * 20, 90, count * 40)).save(picture, "JPEG")
            s3_store.put(f"tire/images/{split}/{number}.jpg", picture.getvalue())
            s3_store.put(f"tire/images/{split}/{number}.xml", LABEL.format(name=f"{number}.jpg").encode())

    def run(*, model: dict[str, Any] | None = None, train: dict[str, Any] | None = None) -> Any:
        resolved = s3_config.resolved
        changed = replace(
            resolved,
            model=replace(resolved.model, **{"network": SSD, "pretrained": None, **(model or {})}),
            train=replace(resolved.train, **train or {}),
        )
        clock, progress = Clock(), Progress(stage="prep", pod_uid=s3_config.pod_uid)
        config = replace(s3_config, resolved=changed)
        record = AttemptRecord(clock, progress)
        context = StageContext(config, lambda _: s3_store, progress, threading.Event(), clock, record)
        return prep.run(context), record.numbers

    return run


def stored(store: S3Store, name: str) -> str:
    return store.get(f"{RUN}/{name}", max_bytes=1 << 20).decode()


def test_without_a_wish_nothing_is_said_about_the_configuration(prepare: Prepare, s3_store: S3Store) -> None:
    _, numbers = prepare()
    assert (numbers["configChanges"], "configChangesURI" in numbers) == (0, False)
    assert numbers["configURI"] == f"s3://{s3_store.bucket}/{RUN}/pipeline.config"
    assert list(s3_store.list(f"{RUN}/pipeline-changes")) == []


def test_what_differs_is_in_the_bucket_with_the_field_that_made_it(
    prepare: Prepare, s3_store: S3Store, s3_config: AgentConfig
) -> None:
    s3_store.put("my.config", default(SSD, num_classes=90).encode())
    result, numbers = prepare(
        model={
            "config": Uri(s3_store.bucket, "my.config"),
            "input_size": 256,
            "max_detections": 200,
            "overrides": {f"{NMS}.iou_threshold": "0.5"},
        }
    )
    assert numbers["configChanges"] == len(json.loads(stored(s3_store, "pipeline-changes.json"))["changes"])
    document = json.loads(stored(s3_store, "pipeline-changes.json"))
    assert {"path": f"{NMS}.iou_threshold", "default": "0.6", "here": "0.5", "by": "model.overrides"} in document[
        "changes"
    ]
    assert [one["by"] for one in document["replaced"]][:1] == ["dataset.classes"]
    assert document["notes"] == ["the scores count the 100 best detections of an image, as COCO's do"]
    assert "iou_threshold: 0.5" in stored(s3_store, "pipeline.config")
    page = stored(s3_store, "pipeline-changes.html")
    assert f"{NMS}.iou_threshold" in page
    assert "spec.model.overrides" in page
    assert numbers["configChangesURI"] == f"s3://{s3_store.bucket}/{RUN}/pipeline-changes.html"
    text = str(result.values["images"])
    assert f"; {numbers['configChanges']} fields of pipeline.config differ from the network's default" in text
    assert text.endswith("; the scores count the 100 best detections of an image, as COCO's do")
    digest = json.loads(stored(s3_store, "prepared.json"))["manifestKey"].split("/")[1]
    report = json.loads(s3_store.get(f"ml/vision/datasets/{digest}/report.json", max_bytes=1 << 20))
    assert report["network"]["inputSize"] == 256


def test_a_file_in_a_config_map_is_used(prepare: Prepare, s3_store: S3Store, s3_config: AgentConfig) -> None:
    mounted = s3_config.paths.model_config
    mounted.parent.mkdir(parents=True, exist_ok=True)
    mounted.write_bytes(b"\xef\xbb\xbf" + default().replace("iou_threshold: 0.6", "iou_threshold: 0.4").encode())
    prepare(model={"config": ConfigMapKey("mine", "pipeline.config")})
    assert "iou_threshold: 0.4" in stored(s3_store, "pipeline.config")


REFUSED = [
    pytest.param(
        None,
        "ModelConfigNotFound: spec.model.config.uri: no object at s3://{bucket}/my.config",
        id="missing",
    ),
    pytest.param(
        default(FASTER).encode(),
        "ModelConfigMismatch: spec.model.config: s3://{bucket}/my.config is of the network faster_rcnn_resnet50, but"
        " spec.model.network is ssd_inception_v2",
        id="another network",
    ),
    pytest.param(
        b"model { \xff }",
        "ModelConfigUnusable: spec.model.config: s3://{bucket}/my.config is not text in UTF-8: byte 8 cannot be read",
        id="no text",
    ),
]


@pytest.mark.parametrize(("data", "expected"), REFUSED)
def test_a_file_that_cannot_be_used_ends_prep_before_an_image_is_read(
    prepare: Prepare, s3_store: S3Store, data: bytes | None, expected: str
) -> None:
    if data is not None:
        s3_store.put("my.config", data)
    with pytest.raises(UserError) as caught:
        prepare(model={"config": Uri(s3_store.bucket, "my.config")})
    assert str(caught.value) == expected.format(bucket=s3_store.bucket)
    assert list(s3_store.list("ml/vision/datasets/")) == []


def test_a_pyramid_needs_sides_that_can_be_halved(prepare: Prepare) -> None:
    with pytest.raises(UserError) as caught:
        prepare(model={"network": "ssd_mobilenet_v1_fpn", "input_size": 300})
    assert str(caught.value) == (
        "InputSizeUnfit: spec.model.inputSize: the network has a feature pyramid, so the sides of its input must be"
        " multiples of 32 pixels"
    )


def test_a_config_map_larger_than_the_limit_is_refused(prepare: Prepare, s3_config: AgentConfig) -> None:
    mounted: Path = s3_config.paths.model_config
    mounted.parent.mkdir(parents=True, exist_ok=True)
    mounted.write_bytes(b" " * (256 << 10) + b"#")
    with pytest.raises(UserError, match=r"pipeline\.config of ConfigMap mine has more than 262144 bytes"):
        prepare(model={"config": ConfigMapKey("mine", "pipeline.config")})
