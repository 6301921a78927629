"""Exports a checkpoint as frozen graph and SavedModel, then tests that the export detects what the network learned."""

import os
import shutil
import threading
from typing import Any, Dict, Optional

import tensorflow as tf
from object_detection import exporter
from object_detection.utils import label_map_util

from trainingrun_trainer import gpu, metrics, pipeline_config, proof, readme
from trainingrun_trainer.outcomes import TrainerError
from trainingrun_trainer.records import sample_examples
from trainingrun_trainer.shared_folder import EXPORT, ProgressWriter, SharedFolder

# An export counts as broken when training had at least the first AP@.5 and the export has less than the second.
GOOD_AP50, BROKEN_AP50 = 0.2, 0.02


def export(
    folder: SharedFolder, spec: Dict[str, Any], progress: ProgressWriter, stop: threading.Event
) -> Dict[str, Any]:
    """Export the checkpoint and test the export; returns the fields of done.json."""
    gpu.check(0)
    tf.logging.set_verbosity(tf.logging.ERROR)
    config = pipeline_config.load(folder, dict(spec, pretrained=None))
    scratch = folder.path(f"export.{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    progress.advance(phase="exporting")
    exporter.profile_inference_graph = lambda graph: None  # it prints thousands of lines about single operations
    exporter.export_inference_graph("image_tensor", config, folder.path(spec["checkpoint"]), scratch)
    _arrange_files(folder, spec, scratch)
    progress.advance(phase="inferring", done=0, total=min(spec["maxEvalImages"], spec["evalImages"]))
    proof.load_saved_model(os.path.join(scratch, "saved_model", "1"))
    categories = label_map_util.create_category_index_from_labelmap(folder.path(spec["labelMap"]))
    names = {number: category["name"] for number, category in categories.items()}
    reached = proof.prove(
        os.path.join(scratch, "frozen_inference_graph.pb"),
        sample_examples([folder.path(path) for path in spec["evalRecords"]], spec["maxEvalImages"]),
        names,
        os.path.join(scratch, "pictures"),
        progress,
        stop,
    )
    _compare_with_training(reached["ap50"], spec.get("trainingAP50"))
    document = metrics.complete(reached, spec)
    metrics.write(os.path.join(scratch, "metrics.json"), document)
    with open(os.path.join(scratch, "README.md"), "w", encoding="utf-8") as handle:
        handle.write(readme.render(document, names, spec.get("intensityRange"), tf.__version__))
    os.rename(scratch, folder.path(EXPORT))
    return {
        "outcome": "succeeded",
        "reason": "Completed",
        "message": "Exported checkpoint {checkpointStep}: AP@.5 {ap50:.3f}, mAP {mAP:.3f}, {evalImages} images".format(
            **document
        ),
        "step": spec["checkpointStep"],
        "ap50": document["ap50"],
        "mAP": document["mAP"],
        "evalImages": document["evalImages"],
    }


def _arrange_files(folder: SharedFolder, spec: Dict[str, Any], scratch: str) -> None:
    """Move the files of the API's exporter to their documented places; drop its second copy of the graph (.meta)."""
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


def _compare_with_training(ap50: float, training_ap50: Optional[float]) -> None:
    """Raise when the export detects next to nothing where training detected much: then the export is broken."""
    if training_ap50 is not None and training_ap50 >= GOOD_AP50 and ap50 < BROKEN_AP50:
        raise TrainerError(
            "crash",
            "ExportDetectsNothing",
            f"The exported graph reaches AP@.5 {ap50:.3f}; training measured {training_ap50:.3f} on the same data.",
        )
