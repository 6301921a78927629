"""What a spec asks of the network's configuration, as the resolved document has it; the agent applies it.

Invariant: a field that the spec does not set is not in the result, so that a document of an earlier version is what the
same spec gives today.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from trainingrun.api import reasons
from trainingrun.domain.near_misses import did_you_mean
from trainingrun.domain.networks import DEMO_NETWORK, NETWORKS
from trainingrun.domain.refusal import NotAcceptedError

MAX_PATH: Final = 256
MAX_VALUE: Final = 256
MAX_OPTION: Final = 64
_LONGER_SIDE: Final = 1024 / 600  # of the input of networks with two stages, in sides of the shorter one
# First rates of optimizers that are not the network's own: of SSD, and of networks with two stages and small batches.
_ONE_STAGE: Final = {"adam": "0.001", "momentum": "0.01", "rmsProp": "0.004"}
_TWO_STAGES: Final = {"adam": "0.0001", "momentum": "0.0003", "rmsProp": "0.0001"}


def of_model(spec: Mapping[str, Any], *, address: Callable[[str], dict[str, str]]) -> dict[str, Any]:
    """The fields `config`, `overrides`, `inputSize` and `maxDetections` of the document's `model`.

    `address` splits an address into bucket and key. Raises NotAcceptedError.
    """
    model = spec.get("model") or {}
    found: dict[str, Any] = {name: int(model[name]) for name in ("inputSize", "maxDetections") if name in model}
    config, overrides = model.get("config"), model.get("overrides")
    if config and "configMap" in config:
        named = config["configMap"]
        found["config"] = {"configMap": {"name": named["name"], "key": named.get("key", "pipeline.config")}}
    elif config:
        found["config"] = {"uri": address(config["uri"])}
    if overrides:
        found["overrides"] = _texts(overrides, field="spec.model.overrides", limit=MAX_VALUE)
    return found


def of_train(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the document's `train` that change the network's configuration; raises NotAcceptedError."""
    train = spec.get("train") or {}
    found: dict[str, Any] = {name: train[name] for name in ("optimizer", "seed") if name in train}
    if "augmentation" in train:
        found["augmentation"] = [_step(step, number) for number, step in enumerate(train["augmentation"])]
    if "focalLoss" in train:
        loss = train["focalLoss"] or {}
        found["focalLoss"] = {"alpha": _decimal(loss.get("alpha", 0.25)), "gamma": _decimal(loss.get("gamma", 2))}
    if "classWeights" in train:
        found["classWeights"] = _weights(train["classWeights"] or {}, spec["dataset"]["classes"])
    if (spec.get("model") or {}).get("config") and not train.keys() & {"learningRate", "optimizer"}:
        found["learningRateOfConfig"] = True
    return found


def max_image_side(spec: Mapping[str, Any], *, network: str) -> int:
    """Longest side of a prepared image: what the spec says, and never less than the network's input needs."""
    size = int((spec.get("model") or {}).get("inputSize", 0))
    longer = size if network.startswith("ssd") else round(size * _LONGER_SIDE)
    return max(int(spec["dataset"].get("maxImageSide", 1024)), longer)


def default_rate(network: str, optimizer: str | None) -> str:
    """The learning rate of a network with an optimizer, None for its own."""
    if optimizer in (None, _own_optimizer(network)):
        return NETWORKS[network].learning_rate
    return (_ONE_STAGE if network.startswith("ssd") else _TWO_STAGES)[str(optimizer)]


def _own_optimizer(network: str) -> str:
    if network == DEMO_NETWORK:
        return "adam"
    return "rmsProp" if network.startswith("ssd") and not network.endswith("_fpn") else "momentum"


def _step(step: Mapping[str, Any], number: int) -> dict[str, Any]:
    field = f"spec.train.augmentation[{number}].options"
    options = _texts(step.get("options") or {}, field=field, limit=MAX_OPTION)
    return {"name": step["name"], **({"options": options} if options else {})}


def _texts(values: Mapping[str, Any], *, field: str, limit: int) -> dict[str, str]:
    """Values as texts, which the agent reads by the type of their field in pipeline.config."""
    found = {}
    for path, value in values.items():
        text = _text(value)
        if len(path) > MAX_PATH or text is None or len(text) > limit:
            what = f"has more than {limit} characters" if text else "is not a number, true or false, a text or a list"
            wrong = f"a path has more than {MAX_PATH} characters" if len(path) > MAX_PATH else f"{path} {what}"
            raise NotAcceptedError(reasons.FIELD_UNUSABLE, f"{field}: {wrong}.")
        found[path] = text
    return found


def _text(value: object) -> str | None:
    """A value as a text; None if it is of no type that a field can have."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, list) and all(isinstance(one, bool | int | float | str) for one in value):
        return json.dumps(value, ensure_ascii=False)
    return "{}" if value == {} else None


def _weights(weights: Mapping[str, Any], classes: Sequence[str]) -> dict[str, str]:
    for name in weights:
        if name not in classes:
            close = did_you_mean(name, classes)
            meant = f"; did you mean {close!r}?" if close else f"; there are {', '.join(map(repr, classes[:10]))}."
            what = f"spec.train.classWeights: {name!r} is no class of spec.dataset.classes{meant}"
            raise NotAcceptedError(reasons.CLASS_WEIGHTS_UNKNOWN, what)
    return {name: _decimal(weight) for name, weight in weights.items()}


def _decimal(number: float) -> str:
    """A number as a text without an exponent."""
    return f"{float(number):.10f}".rstrip("0").rstrip(".")
