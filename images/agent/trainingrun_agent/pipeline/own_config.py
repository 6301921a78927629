"""Read a pipeline.config that a user wrote: the file must be one, and of the run's network.

Invariant: any text gives a configuration of the network, or ConfigError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from trainingrun_agent.pipeline import protos
from trainingrun_agent.pipeline.networks import Network

MAX_BYTES: Final = 256 << 10


@dataclass(frozen=True)
class Kind:
    """The parts of a configuration that make another network of it, not another setting of the same."""

    family: str
    extractor: str
    depthwise: bool = False
    position_sensitive: bool = False


class ConfigError(ValueError):
    """The text cannot be used; the error says why."""


def read(text: str) -> Any:
    """The configuration. Raises ConfigError."""
    pipeline = protos.new_pipeline()
    try:
        protos.merge(pipeline, text)
    except (protos.ParseError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"is not a pipeline.config of this Object Detection API: {protos.problem_of(error)}"
        ) from error
    if pipeline.model.WhichOneof("model") is None:
        raise ConfigError("describes no network: it has neither model.ssd nor model.faster_rcnn")
    return pipeline


def kind_of(pipeline: Any) -> Kind:
    """What decides of which network a configuration is."""
    family = pipeline.model.WhichOneof("model")
    model = getattr(pipeline.model, family)
    if family == "ssd":
        return Kind(family, model.feature_extractor.type, depthwise=model.feature_extractor.use_depthwise)
    predictor = model.second_stage_box_predictor.WhichOneof("box_predictor_oneof")
    return Kind(family, model.feature_extractor.type, position_sensitive=predictor == "rfcn_box_predictor")


def is_of(kind: Kind, network: Network) -> bool:
    """Whether a configuration of this kind can be one of the network."""
    return kind == Kind(network.family, network.extractor, network.depthwise, network.position_sensitive)
