"""The protos of the Object Detection API. They have no types, so this is the only module that uses them.

They can be imported without TensorFlow, but not with a protobuf newer than 3.20.
"""

from __future__ import annotations

import warnings
from typing import Any

from google.protobuf import text_format

with warnings.catch_warnings():
    # Protobuf 3.20 warns about every descriptor that an older protoc generated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from object_detection.protos import pipeline_pb2

ParseError: type[Exception] = text_format.ParseError


def new_pipeline() -> Any:
    """An empty TrainEvalPipelineConfig."""
    return pipeline_pb2.TrainEvalPipelineConfig()


def merge(message: Any, text: str) -> None:
    """Merge proto text into a message. Raises ParseError, with line and column, for a field that does not exist."""
    text_format.Merge(text, message)


def to_text(message: Any) -> str:
    """Proto text of a message; floats look as they were written."""
    return str(text_format.MessageToString(message, float_format=".10g"))  # type: ignore[call-arg]
