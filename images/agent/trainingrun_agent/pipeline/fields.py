"""Set fields of pipeline.config by their paths, such as `model.ssd.post_processing.score_converter`.

Invariant: a path or value that the protos do not allow raises FieldError, and the message is then as it was but for
empty messages on the way; nothing that the path does not name is changed, except the other members of a oneof.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any, Final

from trainingrun_agent import bounded_json
from trainingrun_agent.pipeline import protos, values

MAX_ELEMENTS: Final = 1000
_NAMED: Final = 8
_DEEPEST: Final = 6
_SEGMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\[(\d{1,9})\])?")


class FieldError(ValueError):
    """A path or value cannot be used; the text says why, and what can."""


@dataclass(frozen=True)
class Segment:
    """A field in a path, with the index of one of its elements if it is a repeated one."""

    name: str
    index: int | None

    def __str__(self) -> str:
        return self.name if self.index is None else f"{self.name}[{self.index}]"


def parse(path: str) -> list[Segment]:
    """The segments of a path. Raises FieldError."""
    found = [_SEGMENT.fullmatch(part) for part in path.split(".")]
    if any(part is None for part in found):
        raise FieldError(f"{path!r} is not a path of fields such as train_config.data_augmentation_options[0]")
    return [Segment(part[1], None if part[2] is None else int(part[2])) for part in found if part is not None]


def in_order(path: str) -> list[tuple[str, int]]:
    """A sort key that has fields before what is in them, and elements by their index."""
    return [(segment.name, -1 if segment.index is None else segment.index) for segment in parse(path)]


def set_text(root: Any, path: str, text: str) -> None:
    """Give a field of a message another value, written as in YAML or as proto text. Raises FieldError."""
    message, segments = root, parse(path)
    for depth, segment in enumerate(segments):
        where = ".".join(map(str, segments[:depth]))
        field = _field(message, segment.name, where)
        here = ".".join(map(str, segments[: depth + 1]))
        last = depth == len(segments) - 1
        if segment.index is not None and field.label != field.LABEL_REPEATED:
            raise FieldError(f"{here}: {segment.name} is a single field, so it has no [{segment.index}]")
        if last:
            _assign(message, field, segment.index, text, here)
        else:
            message = _child(message, field, segment, here, following=str(segments[depth + 1]))


def _field(message: Any, name: str, where: str) -> Any:
    field = message.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        raise FieldError(_unknown(message.DESCRIPTOR, name, where))
    return field


def _unknown(descriptor: Any, name: str, where: str) -> str:
    known = [field.name for field in descriptor.fields]
    what = f"{where or 'pipeline.config'} has no field {name}"
    deeper = list(islice(_paths_to(descriptor, name, ()), 3))
    if deeper:
        return f"{what}; there is {_listed([f'{where}.{path}' if where else path for path in deeper])}"
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f"{what}; did you mean {_listed(close)}?"
    return f"{what}; it has {_some(known)}"


def _paths_to(descriptor: Any, name: str, path: tuple[str, ...]) -> Iterator[str]:
    """Paths of fields with this name in the messages below."""
    if len(path) >= _DEEPEST:
        return
    for field in descriptor.fields:
        if field.message_type is not None:
            step = f"{field.name}[0]" if field.label == field.LABEL_REPEATED else field.name
            if name in field.message_type.fields_by_name:
                yield ".".join((*path, step, name))
            yield from _paths_to(field.message_type, name, (*path, step))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _child(message: Any, field: Any, segment: Segment, here: str, *, following: str) -> Any:
    """The message that a field holds, on the way to one of its fields."""
    if field.message_type is None:
        raise FieldError(f"{here} is {values.expected(field)}, so it has no field {following}")
    if field.label == field.LABEL_REPEATED:
        if segment.index is None:
            raise FieldError(f"{here} is a list: name one of its elements, such as {here}[0].{following}")
        return _element(getattr(message, segment.name), segment.index, here)
    _check_oneof(message, field, here)
    child = getattr(message, segment.name)
    child.SetInParent()
    return child


def _check_oneof(message: Any, field: Any, here: str) -> None:
    if field.containing_oneof is None:
        return
    now = message.WhichOneof(field.containing_oneof.name)
    if now not in (None, field.name):
        parent = here.rpartition(".")[0]
        raise FieldError(
            f"{here}: {parent or 'pipeline.config'} has {now}, and can have only one of the two. To replace it, also"
            f" give {here} itself a value: {{}}, or its fields as proto text"
        )


def _element(elements: Any, index: int, here: str) -> Any:
    """An element of a list of messages; the one behind the last is added."""
    if index == len(elements) < MAX_ELEMENTS:
        return elements.add()
    return elements[_checked(elements, index, here)]


def _checked(elements: Any, index: int, here: str) -> int:
    if index >= len(elements):
        raise FieldError(f"{here}: the list has {len(elements)} elements; [{len(elements)}] adds one")
    return index


def _assign(message: Any, field: Any, index: int | None, text: str, here: str) -> None:
    if field.label == field.LABEL_REPEATED and index is None:
        _assign_list(message, field, text, here)
    elif field.message_type is not None:
        _assign_message(message, field, index, text, here)
    elif index is None:
        setattr(message, field.name, _value(field, text, here))
    else:
        elements, value = getattr(message, field.name), _value(field, text, here)
        if index == len(elements) < MAX_ELEMENTS:
            elements.append(value)
        else:
            elements[_checked(elements, index, here)] = value


def _assign_list(message: Any, field: Any, text: str, here: str) -> None:
    """Replace all elements: those of `[1, 2]`; a list of messages can only be emptied."""
    try:
        found = bounded_json.loads(text) if text.startswith("[") else None
    except ValueError:
        found = None
    if not isinstance(found, list) or (found and field.message_type is not None):
        what = f"of {values.expected(field)}" if field.message_type is None else "of messages"
        raise FieldError(f"{here} is a list {what}, not {text!r}: give it a list, or name an element such as {here}[0]")
    wanted = [_value(field, one if isinstance(one, str) else json.dumps(one), here) for one in found]
    message.ClearField(field.name)
    getattr(message, field.name).extend(wanted)


def _assign_message(message: Any, field: Any, index: int | None, text: str, here: str) -> None:
    """Replace a message by the one that the proto text describes, `{}` if it is empty."""
    stripped = text.strip()
    inner = stripped[1:-1] if stripped.startswith("{") and stripped.endswith("}") else stripped
    scratch = type(message)()
    repeated = field.label == field.LABEL_REPEATED
    made = getattr(scratch, field.name).add() if repeated else getattr(scratch, field.name)
    try:
        protos.merge(made, inner)
    except (protos.ParseError, ValueError, RecursionError) as error:
        why = f" ({protos.problem_of(error)})" if ":" in text else ""
        known = _some([one.name for one in field.message_type.fields])
        raise FieldError(f"{here} is a message with {known}: set one of its fields, not {text!r}{why}") from error
    if repeated and index is not None:
        _element(getattr(message, field.name), index, here).CopyFrom(made)
        return
    child = getattr(message, field.name)
    child.SetInParent()
    child.CopyFrom(made)


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"the fields {', '.join(names[:_NAMED])}{more}" if names else "no fields"


def _value(field: Any, text: str, here: str) -> Any:
    try:
        return values.parse(field, text)
    except ValueError:
        raise FieldError(f"{here} is {values.expected(field)}, not {text!r}") from None
