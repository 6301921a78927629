"""The protos of the Object Detection API. They have no types, so this is the only module that uses them.

They can be imported without TensorFlow, but not with a protobuf newer than 3.20.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final

from google.protobuf import text_format

with warnings.catch_warnings():
    # Protobuf 3.20 warns about every descriptor that an older protoc generated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from object_detection.protos import pipeline_pb2, string_int_label_map_pb2

ParseError: type[Exception] = text_format.ParseError
MAX_PROBLEM: Final = 300
"""Characters of what a parser found wrong."""


def new_pipeline() -> Any:
    """An empty TrainEvalPipelineConfig."""
    return pipeline_pb2.TrainEvalPipelineConfig()


def merge(message: Any, text: str) -> None:
    """Merge proto text into a message. Raises ParseError, with line and column, for a field that does not exist."""
    text_format.Merge(text, message)


def problem_of(error: Exception) -> str:
    """What a parser found wrong, with line and column: it writes `12:5 : …`."""
    place, colon, what = str(error).partition(" : ")
    line, _, column = place.partition(":")
    known = colon and line.isdecimal() and column.isdecimal()
    text = f"line {line}, column {column}: {what}" if known else str(error)
    text = text.replace("object_detection.protos.", "")
    return text if len(text) <= MAX_PROBLEM else f"{text[: MAX_PROBLEM - 1]}…"


def to_text(message: Any) -> str:
    """Proto text of a message; floats look as they were written."""
    return str(text_format.MessageToString(message))


def without(message: Any, names: Sequence[str]) -> Any:
    """A copy of a message in which the fields of these names are cleared, also in the messages that it holds."""
    copy = type(message)()
    copy.CopyFrom(message)
    for field, value in copy.ListFields():
        if field.name in names:
            copy.ClearField(field.name)
        elif field.message_type is not None and field.label != field.LABEL_REPEATED:
            value.CopyFrom(without(value, names))
    return copy


def is_message(value: Any) -> bool:
    """Whether a field's value is a message, not a number, a text or several values."""
    return hasattr(value, "ListFields")


def class_names(text: str) -> dict[int, str]:
    """The names in a label_map.pbtxt by their ids. Raises ParseError, ValueError if an id has two names."""
    label_map = string_int_label_map_pb2.StringIntLabelMap()
    merge(label_map, text)
    names = {item.id: item.name for item in label_map.item}
    if len(names) != len(label_map.item):
        raise ValueError("an id has two names")
    return names
