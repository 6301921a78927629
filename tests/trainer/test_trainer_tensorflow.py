"""The trainer in real TensorFlow 1.14: learns, resumes at the exact step after SIGTERM, exports what it learned."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from trainingrun_agent.pipeline import build_pipeline_config
from trainingrun_agent.prep.example import bytes_feature, encode, float_feature, int_feature
from trainingrun_agent.prep.tfrecord import frame
from trdemo.tires import SIZE, Photo, draw_set

PYTHON = os.environ.get("TRAININGRUN_TF_PYTHON", "")
pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not PYTHON, reason="TRAININGRUN_TF_PYTHON names no interpreter with TensorFlow 1.14"),
]
STEPS, SAVE_EVERY = 150, 50
IMAGES = {"train": 64, "eval": 16}
PATIENCE = 400.0  # seconds for one process on a busy machine; alone it takes about thirty


def record(photo: Photo) -> bytes:
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
                "image/object/bbox/xmax": float_feature([box.xmax / width for box in photo.boxes]),
                "image/object/bbox/ymin": float_feature([box.ymin / height for box in photo.boxes]),
                "image/object/bbox/ymax": float_feature([box.ymax / height for box in photo.boxes]),
                "image/object/class/text": bytes_feature([b"tire"] * len(photo.boxes)),
                "image/object/class/label": int_feature([1] * len(photo.boxes)),
            }
        )
    )


def lay_out(root: Path) -> dict[str, Any]:
    """Write the data set and pipeline.config; returns the spec of a training."""
    (root / "dataset").mkdir()
    for split, count in IMAGES.items():
        photos = draw_set(count, seed=7, prefix=split)
        (root / "dataset" / f"{split}-0.tfrecord").write_bytes(b"".join(map(record, photos)))
    (root / "dataset" / "label_map.pbtxt").write_text("item {\n  id: 1\n  name: 'tire'\n}\n")
    (root / "pipeline.config").write_text(
        build_pipeline_config(
            network="ssd_mobilenet_v1_0.25_128",
            num_classes=1,
            steps=STEPS,
            batch_size=8,
            learning_rate="0.01",
            train_images=IMAGES["train"],
            max_boxes_per_image=2,
            pretrained=False,
        )
    )
    return {
        "contractVersion": 1,
        "stage": "train",
        "pipelineConfig": "pipeline.config",
        "trainRecords": ["dataset/train-0.tfrecord"],
        "evalRecords": ["dataset/eval-0.tfrecord"],
        "trainImages": IMAGES["train"],
        "evalImages": IMAGES["eval"],
        "labelMap": "dataset/label_map.pbtxt",
        "modelDir": "model",
        "pretrained": None,
        "steps": STEPS,
        "saveEverySteps": SAVE_EVERY,
        "evalEverySteps": STEPS,
        "gpus": 0,
        "resumedFromStep": 0,
        "checkpoint": None,
        "checkpointStep": None,
        "maxEvalImages": None,
        "trainingAP50": None,
        "stallSeconds": 600,
    }


def test_it_learns_resumes_at_the_exact_step_and_exports(shared: Any) -> None:
    spec = lay_out(shared.root)
    shared.write("spec.json", spec)

    process = shared.start("train", python=PYTHON)
    shared.wait_for("ready/00000050.json", process, seconds=PATIENCE)
    process.send_signal(signal.SIGTERM)
    code, log = shared.end_of(process, seconds=PATIENCE)
    stopped = shared.read("done.json")
    assert (code, stopped["outcome"]) == (1, "interrupted"), log
    saved = max(int(path.stem) for path in (shared.root / "ready").iterdir())
    assert SAVE_EVERY <= saved < STEPS
    assert not (shared.root / "model" / "eval_0").exists()

    (shared.root / "done.json").unlink()
    shared.write("spec.json", {**spec, "resumedFromStep": saved})
    code, log = shared.end_of(shared.start("train", python=PYTHON), seconds=PATIENCE)
    trained = shared.read("done.json")
    assert (code, trained["outcome"], trained["step"]) == (0, "succeeded", STEPS), log
    assert trained["ap50"] >= 0.5, log
    # Saves count from the step that training went on from, so that they prove which one it was.
    ready = {int(path.stem) for path in (shared.root / "ready").iterdir()}
    assert ready == {SAVE_EVERY, STEPS, *range(saved, STEPS, SAVE_EVERY)}

    shared.write("spec.json", exporting(spec, trained["ap50"]))
    (shared.root / "done.json").unlink()
    code, log = shared.end_of(shared.start("export", python=PYTHON), seconds=PATIENCE)
    exported = shared.read("done.json")
    assert (code, exported["outcome"], exported["evalImages"]) == (0, "succeeded", IMAGES["eval"]), log
    assert exported["ap50"] >= 0.5
    export = shared.root / "export"
    files = {str(path.relative_to(export)) for path in export.rglob("*") if path.is_file()}
    pictures = {f"pictures/{number}.png" for number in range(IMAGES["eval"])}
    assert files == pictures | {
        "frozen_inference_graph.pb",
        "saved_model/1/saved_model.pb",
        "checkpoint/model.ckpt.index",
        "checkpoint/model.ckpt.data-00000-of-00001",
        "label_map.pbtxt",
        "pipeline.config",
        "metrics.json",
    }


def exporting(spec: dict[str, Any], ap50: float) -> dict[str, Any]:
    """The spec of the export of the last checkpoint."""
    return {
        **spec,
        "stage": "export",
        "trainRecords": [],
        "checkpoint": f"model/model.ckpt-{STEPS}",
        "checkpointStep": STEPS,
        "maxEvalImages": 500,
        "trainingAP50": ap50,
    }
