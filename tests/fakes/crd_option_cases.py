"""Values of the CRD's options for best checkpoints, early ends, gates and recovery: accepted, and refused."""

from __future__ import annotations

from typing import Any, Final

DURATION = "train.maxDuration must be hours, minutes and seconds, from 1s to 8760h, such as 6h or 1h30m"
CHECKPOINT = "export.checkpoint must be best, latest or the step of a checkpoint, such as 12000"
CHECKPOINT_LATER = "export.checkpoint must not be greater than train.steps, the last step of training"
NO_SCORE = "a score in export.gate must be from 0 to 1, such as 0.8"
NO_BAR = "export.gate needs at least one of minMAP, minAP50 and perClass"
NO_CLASS_BAR = "an entry of export.gate.perClass needs minMAP or minAP50"
CLASS_TWICE = "export.gate.perClass must name a class once, and have one entry without a class at most"
CLASS_UNKNOWN = "export.gate.perClass must name classes of dataset.classes, as they are written there"
GATE = "spec.export.gate"

PASSES: Final[list[tuple[str, Any]]] = [
    ("spec.activeDeadlineSeconds", 31536000),
    ("spec.finish", True),
    *(("spec.train.maxDuration", text) for text in ("6h", "1h30m", "90m", "1s", "8760h", "1h1m1s")),
    ("spec.train.earlyStopping", {"patience": 1}),
    ("spec.train.earlyStopping", {"patience": 1000, "minDelta": 0.002}),
    ("spec.train.retries", {"interrupted": 0, "crash": 100}),
    ("spec.train.retries", {}),
    ("spec.train.keepCheckpoints", {"last": 1, "everyHours": 24}),
    *(("spec.export.checkpoint", which) for which in ("best", "latest", 0, 20000)),
    (GATE, {"minMAP": 0, "minAP50": 1}),
    (GATE, {"minAP50": 0.8, "perClass": []}),
    (GATE, {"perClass": [{"class": "tire", "minMAP": 0.5}, {"minAP50": 0.7}]}),
]

REFUSED: Final[list[tuple[str, Any, str]]] = [
    *(
        ("spec.train.maxDuration", text, DURATION)
        for text in ("", "6", "6 h", "1.5h", "2d", "0s", "8761h", "30m1h", "-1h", "h")
    ),
    ("spec.train.maxDuration", 6, 'spec.train.maxDuration in body must be of type string: "integer"'),
    ("spec.train.metric", "loss", '"loss": supported values: "mAP", "ap50"'),
    ("spec.train.earlyStopping", {}, "Required value"),
    (
        "spec.train.earlyStopping",
        {"patience": 0},
        "spec.train.earlyStopping.patience in body should be greater than or equal to 1",
    ),
    (
        "spec.train.earlyStopping",
        {"patience": 1, "minDelta": 1.5},
        "spec.train.earlyStopping.minDelta in body should be less than or equal to 1",
    ),
    ("spec.train.onDivergence", "Retry", '"Retry": supported values: "Fail", "Rollback"'),
    ("spec.train.onOutOfMemory", "Halve", '"Halve": supported values: "Fail", "HalveBatch"'),
    (
        "spec.train.retries",
        {"crash": 101},
        "spec.train.retries.crash in body should be less than or equal to 100",
    ),
    ("spec.train.retries", {"diverged": 1}, 'strict decoding error: unknown field "spec.train.retries.diverged"'),
    (
        "spec.train.keepCheckpoints",
        {"last": 0},
        "spec.train.keepCheckpoints.last in body should be greater than or equal to 1",
    ),
    *(("spec.export.checkpoint", which, CHECKPOINT) for which in ("newest", "", -1, "120")),
    ("spec.export.checkpoint", 20001, CHECKPOINT_LATER),
    *((GATE, {"minAP50": score}, NO_SCORE) for score in (1.01, 80, -0.1)),
    (GATE, {"perClass": [{"class": "tire", "minMAP": 2}]}, NO_SCORE),
    (GATE, {"minMAP": "0.8"}, 'spec.export.gate.minMAP in body must be of type number: "string"'),
    (GATE, {}, NO_BAR),
    (GATE, {"perClass": []}, NO_BAR),
    (GATE, {"perClass": [{"class": "tire"}]}, NO_CLASS_BAR),
    (GATE, {"perClass": [{"class": "tire", "minMAP": 0.1}, {"class": "tire", "minAP50": 0.1}]}, CLASS_TWICE),
    (GATE, {"perClass": [{"minMAP": 0.1}, {"minAP50": 0.1}]}, CLASS_TWICE),
    (GATE, {"perClass": [{"class": "Tire", "minMAP": 0.1}]}, CLASS_UNKNOWN),
    (
        "spec.activeDeadlineSeconds",
        0,
        "spec.activeDeadlineSeconds in body should be greater than or equal to 1",
    ),
]
