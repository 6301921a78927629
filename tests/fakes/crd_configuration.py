"""Values of the spec's fields for the network's configuration: accepted ones, and refused ones with their messages."""

from __future__ import annotations

from typing import Any, Final

CONFIG: Final = "spec.model.config"
OVERRIDES: Final = "spec.model.overrides"
AUGMENTATION: Final = "spec.train.augmentation"
FOCAL: Final = "spec.train.focalLoss"
_ONE_OF: Final = "model.config needs exactly one of uri and configMap"
_FILE: Final = "model.config.uri must name a file, not a folder"
_KEY: Final = "model.config.uri must be a key in storage.bucket or s3://bucket/key"
_PATH: Final = 'model.config.uri must not start with "/" or contain ".." or control characters'
_MAP: Final = "model.config.configMap.name must be the name of a ConfigMap in this namespace"
_MAP_KEY: Final = 'model.config.configMap.key must be letters, digits, "-", "_" and "."'
_STEP: Final = "train.augmentation[].name must be the name of a preprocessing step such as random_horizontal_flip"
_BOTH: Final = "train.classWeights and train.focalLoss both balance the classes; remove one of them"
_SSD: Final = "train.focalLoss is for SSD networks; remove it, or choose a model.network that begins with ssd"

PASSES: Final[list[tuple[str, Any]]] = [
    (CONFIG, {"uri": "configs/a.config"}),
    (CONFIG, {"uri": "s3://configs/a"}),
    (CONFIG, {"configMap": {"name": "a.b-c"}}),
    (CONFIG, {"configMap": {"name": "a", "key": "my_Pipeline.config"}}),
    (OVERRIDES, {"a.b": 0.5, "a.c[0].d": True, "e": "SIGMOID", "f": 7, "g": 1e-8, "h": [1, 0.5], "i": {}, "j": []}),
    (OVERRIDES, {f"a.b{n}": 1 for n in range(64)}),
    ("spec.model.inputSize", 64),
    ("spec.model.inputSize", 2048),
    ("spec.model.maxDetections", 1000),
    ("spec.train.optimizer", "adam"),
    ("spec.train.seed", 0),
    (AUGMENTATION, []),
    (
        AUGMENTATION,
        [{"name": "random_horizontal_flip"}, {"name": "random_pad_image", "options": {"pad_color": [0, 0, 0]}}],
    ),
    (FOCAL, {}),
    (FOCAL, {"alpha": 0.25, "gamma": 2}),
    ("spec.train.classWeights", {"tire": 2, "hub": 0.5}),
]

REFUSED: Final[list[tuple[str, Any, str]]] = [
    (CONFIG, {}, _ONE_OF),
    (CONFIG, {"uri": "a", "configMap": {"name": "a"}}, _ONE_OF),
    (CONFIG, {"uri": "configs/"}, _FILE),
    (CONFIG, {"uri": "https://host/a.config"}, _KEY),
    (CONFIG, {"uri": "../a.config"}, _PATH),
    (CONFIG, {"configMap": {"name": "My"}}, _MAP),
    (CONFIG, {"configMap": {"name": "a", "key": "a/b"}}, _MAP_KEY),
    (CONFIG, {"configMap": {"key": "a"}}, "Required value"),
    (OVERRIDES, {"a": "v" * 257}, "Too long: may not be more than 256 bytes"),
    (OVERRIDES, {"a": {"b": 1}}, "Too many: 1: must have at most 0 items"),
    (OVERRIDES, {f"a.b{n}": 1 for n in range(65)}, "Too many: 65: must have at most 64 items"),
    ("spec.model.inputSize", 63, "spec.model.inputSize in body should be greater than or equal to 64"),
    ("spec.model.maxDetections", 1001, "spec.model.maxDetections in body should be less than or equal to 1000"),
    ("spec.train.optimizer", "sgd", '"sgd": supported values: "adam", "momentum", "rmsProp"'),
    ("spec.train.seed", -1, "spec.train.seed in body should be greater than or equal to 0"),
    (AUGMENTATION, [{"name": "Flip"}], _STEP),
    (AUGMENTATION, [{}], "Required value"),
    (FOCAL, {"alpha": 1.5}, "spec.train.focalLoss.alpha in body should be less than or equal to 1"),
    ("spec.train", {"focalLoss": {}, "classWeights": {"tire": 2}}, _BOTH),
    (
        "spec.train.classWeights",
        {"tire": 0},
        "spec.train.classWeights.tire in body should be greater than 0",
    ),
]

# With another network than that of the sample.
REFUSED_FOR_FASTER_RCNN: Final = (FOCAL, {}, _SSD)
