"""The exporter: checkpoint in, frozen graph and SavedModel out, and a proof that they detect what training learned."""

import json
import os
import shutil

import tensorflow as tf
from object_detection import exporter
from object_detection.utils import label_map_util

from trainingrun_trainer import gpu, pipeline_config, proof
from trainingrun_trainer.outcomes import TrainerError

GOOD, NOTHING = 0.2, 0.02  # AP@.5 in training that an export must not fall from, and what counts as fallen


def export(folder, spec, progress, stop):
    # type: (object, dict, object, object) -> dict
    """Export and prove the checkpoint; returns the fields of done.json."""
    gpu.check(0)
    tf.logging.set_verbosity(tf.logging.ERROR)
    config = pipeline_config.load(folder, dict(spec, pretrained=None))
    scratch = folder.path("export.{}".format(os.getpid()))
    shutil.rmtree(scratch, ignore_errors=True)
    progress.advance(phase="exporting")
    exporter.profile_inference_graph = lambda graph: None  # thousands of lines about operations, for nobody
    exporter.export_inference_graph("image_tensor", config, folder.path(spec["checkpoint"]), scratch)
    _arrange(folder, spec, scratch)
    progress.advance(phase="inferring", done=0, total=min(spec["maxEvalImages"], spec["evalImages"]))
    proof.load_saved_model(os.path.join(scratch, "saved_model", "1"))
    index = label_map_util.create_category_index_from_labelmap(folder.path(spec["labelMap"]))
    names = {number: entry["name"] for number, entry in index.items()}
    metrics = proof.prove(
        os.path.join(scratch, "frozen_inference_graph.pb"),
        proof.examples_of(folder, spec),
        names,
        os.path.join(scratch, "pictures"),
        progress,
        stop,
    )
    metrics["checkpointStep"] = spec["checkpointStep"]
    _compare_with_training(metrics, spec.get("trainingAP50"))
    with open(os.path.join(scratch, "metrics.json"), "w") as handle:
        json.dump(metrics, handle, indent=2, sort_keys=True)
    os.rename(scratch, folder.path("export"))
    return {
        "outcome": "succeeded",
        "reason": "Completed",
        "message": "Exported checkpoint {checkpointStep}: AP@.5 {ap50:.3f}, mAP {mAP:.3f}, {evalImages} images".format(
            **metrics
        ),
        "step": spec["checkpointStep"],
        "ap50": metrics["ap50"],
        "mAP": metrics["mAP"],
        "evalImages": metrics["evalImages"],
    }


def _arrange(folder, spec, scratch):
    # type: (object, dict, str) -> None
    """Put what the API's exporter wrote where users look for it; its graph of the checkpoint is not needed."""
    os.rename(os.path.join(scratch, "saved_model"), os.path.join(scratch, "saved_model.api"))
    os.makedirs(os.path.join(scratch, "saved_model"))
    os.rename(os.path.join(scratch, "saved_model.api"), os.path.join(scratch, "saved_model", "1"))
    os.remove(os.path.join(scratch, "checkpoint"))
    os.makedirs(os.path.join(scratch, "checkpoint"))
    for name in os.listdir(scratch):
        if name.startswith("model.ckpt"):
            target = os.path.join(scratch, "checkpoint", name)
            os.rename(os.path.join(scratch, name), target)
            if name.endswith(".meta"):
                os.remove(target)
    shutil.copyfile(folder.path(spec["labelMap"]), os.path.join(scratch, "label_map.pbtxt"))
    shutil.copyfile(folder.path(spec["pipelineConfig"]), os.path.join(scratch, "pipeline.config"))


def _compare_with_training(metrics, before):
    # type: (dict, float or None) -> None
    """An export that finds nothing where training found much is broken, however well it was written."""
    if before is not None and before >= GOOD and metrics["ap50"] < NOTHING:
        raise TrainerError(
            "crash",
            "ExportDetectsNothing",
            "The exported graph reaches AP@.5 {:.3f}; training had measured {:.3f} on the same data.".format(
                metrics["ap50"], before
            ),
        )
