"""Read a pipeline.config that a user wrote: the file must be one, and of the run's network.

Invariant: any text gives a configuration of the network, or ConfigError.
"""

from __future__ import annotations

from typing import Any, Final

from trainingrun_agent.pipeline import protos

MAX_BYTES: Final = 256 << 10


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


def extractor_of(pipeline: Any) -> str:
    """The feature extractor, which with the family makes the network."""
    return str(getattr(pipeline.model, pipeline.model.WhichOneof("model")).feature_extractor.type)
