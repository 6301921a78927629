"""metrics.json: the numbers of an export, and what each means."""

import json
from typing import Any, Dict

ABOUT = {
    "ap50": "average precision at IoU 0.5 over all classes, 0 to 1 (COCO); measured with the exported graph",
    "mAP": "average precision, mean over IoU 0.50, 0.55 .. 0.95 and over all classes, 0 to 1 (COCO)",
    "perClass": "ap50 and mAP of each class that has labelled boxes among the evaluated images",
    "evalImages": "images that the exported graph was run on: all evaluation images, or a random sample of them",
    "detections": "detections with a score of at least 0.5 on the evaluated images; pictures/ shows these",
    "scoreThreshold": "suggested least score of a detection: where f1 is highest over the evaluated images and classes",
    "precision": "share of the detections from scoreThreshold on that are right: IoU 0.5 with a box of their class",
    "recall": "share of the labelled boxes that are found by these detections",
    "f1": "2 * precision * recall / (precision + recall) at scoreThreshold",
    "checkpointStep": "training step of the exported checkpoint",
    "checkpointReason": "why this checkpoint was exported",
    "trainingAP50": "ap50 that training measured for this checkpoint on all evaluation images",
    "trainingMAP": "mAP that training measured for this checkpoint on all evaluation images",
    "trainingDifference": "why ap50 and mAP may differ from what training measured",
}
SAME_IMAGES = "same images: below 0.0001, from rounding; more if many scores are almost equal, as after a few steps"


def complete(measured: Dict[str, Any], spec: Dict[str, Any]) -> Dict[str, Any]:
    """The document for what the exported graph reached: with the checkpoint, its scores in training, and ABOUT."""
    training = {name: spec.get(name) for name in ("trainingAP50", "trainingMAP") if spec.get(name) is not None}
    if training:
        training["trainingDifference"] = _difference(measured["evalImages"], spec["evalImages"])
    reason = {"checkpointReason": spec["checkpointReason"]} if spec.get("checkpointReason") else {}
    fields = dict(measured, checkpointStep=spec["checkpointStep"], **training, **reason)
    return dict(fields, about={name: ABOUT[name] for name in fields})


def write(path: str, document: Dict[str, Any]) -> None:
    """Write metrics.json."""
    with open(path, "w") as handle:
        json.dump(document, handle, indent=2, sort_keys=True)


def _difference(evaluated: int, images: int) -> str:
    if evaluated >= images:
        return SAME_IMAGES
    return f"training evaluated all {images} images, the exported graph a random sample of {evaluated} of them"
