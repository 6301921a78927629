"""Inputs of trainer tests: a small data set in the shared folder, a pipeline.config and the specs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainingrun_agent.pipeline.build import build_pipeline_config
from trainingrun_agent.pipeline.checkpoint import read_index
from trainingrun_agent.pipeline.fit import misfit, recognised
from trainingrun_agent.prep.output.example import bytes_feature, encode, float_feature, int_feature
from trainingrun_agent.prep.output.tfrecord import frame
from trdemo.tires import SIZE, Photo, draw_set

DEMO = "ssd_mobilenet_v1_0.25_128"
PATIENCE = 1200.0
"""Seconds for one process with TensorFlow: about thirty alone, but the tier runs at low priority behind others."""


def record(photo: Photo, *, stretch: float = 1.0) -> bytes:
    """A framed tf.Example; `stretch` multiplies xmax, for boxes that prep would never write."""
    width, height = SIZE
    return frame(
        encode(
            {
                "image/height": int_feature([height]),
                "image/width": int_feature([width]),
                "image/filename": bytes_feature([photo.name.encode()]),
                "image/source_id": bytes_feature([photo.name.encode()]),
                "image/encoded": bytes_feature([photo.jpeg]),
                "image/format": bytes_feature([b"jpeg"]),
                "image/object/bbox/xmin": float_feature([box.xmin / width for box in photo.boxes]),
                "image/object/bbox/xmax": float_feature([box.xmax / width * stretch for box in photo.boxes]),
                "image/object/bbox/ymin": float_feature([box.ymin / height for box in photo.boxes]),
                "image/object/bbox/ymax": float_feature([box.ymax / height for box in photo.boxes]),
                "image/object/class/text": bytes_feature([b"tire"] * len(photo.boxes)),
                "image/object/class/label": int_feature([1] * len(photo.boxes)),
            }
        )
    )


def lay_out(
    root: Path,
    *,
    steps: int,
    save_every: int,
    images: tuple[int, int] = (64, 16),
    network: str = DEMO,
    batch_size: int = 8,
    learning_rate: str = "0.01",
    pretrained: bool = False,
    stretch: float = 1.0,
) -> dict[str, Any]:
    """Write the data set (train, eval images) and pipeline.config; returns the spec of a training."""
    (root / "dataset").mkdir()
    for split, count in zip(("train", "eval"), images, strict=True):
        records = (record(photo, stretch=stretch) for photo in draw_set(count, seed=7, prefix=split))
        (root / "dataset" / f"{split}-0.tfrecord").write_bytes(b"".join(records))
    (root / "dataset" / "label_map.pbtxt").write_text("item {\n  id: 1\n  name: 'tire'\n}\n")
    (root / "pipeline.config").write_text(
        build_pipeline_config(
            network=network,
            num_classes=1,
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            shuffle_buffer=images[0],
            max_boxes_per_image=2,
            pretrained=pretrained,
        )
    )
    return {
        "contractVersion": 1,
        "stage": "train",
        "pipelineConfig": "pipeline.config",
        "trainRecords": ["dataset/train-0.tfrecord"],
        "evalRecords": ["dataset/eval-0.tfrecord"],
        "trainImages": images[0],
        "evalImages": images[1],
        "labelMap": "dataset/label_map.pbtxt",
        "modelDir": "model",
        "pretrained": "pretrained/model.ckpt" if pretrained else None,
        "steps": steps,
        "saveEverySteps": save_every,
        "evalEverySteps": steps,
        "gpus": 0,
        "resumedFromStep": 0,
        "checkpoint": None,
        "checkpointStep": None,
        "maxEvalImages": None,
        "trainingAP50": None,
        "stallSeconds": 600,
    }


def exporting(spec: dict[str, Any], *, ap50: float | None) -> dict[str, Any]:
    """The spec of the export of the last checkpoint; `ap50` is what training measured."""
    return {
        **spec,
        "stage": "export",
        "trainRecords": [],
        "checkpoint": f"model/model.ckpt-{spec['steps']}",
        "checkpointStep": spec["steps"],
        "maxEvalImages": 500,
        "trainingAP50": ap50,
    }


def fitting(checkpoint: Path) -> list[str]:
    """Names of the networks whose weights prep recognises in this checkpoint."""
    index = read_index(Path(f"{checkpoint}.index").read_bytes())
    assert index.data_bytes == Path(f"{checkpoint}.data-00000-of-00001").stat().st_size
    found = recognised(index.variables)
    assert not any(misfit(name, index.variables) for name in found)
    return found
