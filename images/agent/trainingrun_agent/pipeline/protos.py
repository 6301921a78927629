"""The Object Detection API's protos: untyped, so the one place where mypy looks away.

They import without TensorFlow, but with nothing newer than protobuf 3.20.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import text_format
from object_detection.protos import pipeline_pb2

ParseError: type[Exception] = text_format.ParseError


def new_pipeline() -> Any:
    """An empty TrainEvalPipelineConfig."""
    return pipeline_pb2.TrainEvalPipelineConfig()


def merge(message: Any, text: str) -> None:
    """Merge proto text into a message; raises ParseError with line and column for a field that does not exist."""
    text_format.Merge(text, message)


def to_text(message: Any) -> str:
    """Proto text of a message, floats as they were written."""
    return str(text_format.MessageToString(message, float_format=".10g"))
