"""How a pipeline.config differs from another one: the fields that a detector is trained with, by their paths.

Invariant: a field that is not set has its default, so writing a default out is no difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from trainingrun_agent.pipeline import values

NOT_THERE: Final = "(not set)"
MAX_VALUE: Final = 120
"""Characters of a value in a change."""

Place = tuple[tuple[int, int], ...]
"""Number of each field from the outermost on, and its index in a list: pipeline.config is written in this order."""


@dataclass(frozen=True)
class Change:
    """A field that differs: its value by default and here, and the field of the spec that made it so."""

    path: str
    default: str
    here: str
    by: str


@dataclass(frozen=True)
class Leaf:
    """A field without fields: its value as text, its default, None where it has none, and its place in the file."""

    text: str
    default: str | None
    place: Place


@dataclass(frozen=True)
class Leaves:
    """The fields of a message that are set, by path; an empty message is a field itself. `messages` are all others."""

    fields: Mapping[str, Leaf]
    messages: frozenset[str]


def leaves(message: Any) -> Leaves:
    """The fields of a message."""
    found: dict[str, Leaf] = {}
    messages = {""}
    _collect(message, "", (), found, messages)
    return Leaves(found, frozenset(messages))


def _collect(message: Any, path: str, outer: Place, found: dict[str, Leaf], messages: set[str]) -> None:
    for field, value in message.ListFields():
        inside = f"{path}.{field.name}" if path else field.name
        repeated = field.label == field.LABEL_REPEATED
        for index, one in enumerate(value if repeated else [value]):
            here, place = f"{inside}[{index}]" if repeated else inside, (*outer, (field.number, index))
            if field.message_type is None:
                default = None if repeated else values.written(field, field.default_value)
                found[here] = Leaf(values.written(field, one), default, place)
                continue
            messages.add(here)
            _collect(one, here, place, found, messages)
            if not one.ListFields():
                found[here] = Leaf("{}", None, place)


def differing(before: Leaves, after: Leaves) -> list[str]:
    """Paths of the fields whose values differ, in the order of the file."""
    both = {**before.fields, **after.fields}
    paths = [path for path in both if _text(before, after, path) != _text(after, before, path)]
    return sorted(paths, key=lambda path: both[path].place)


def _text(leaves: Leaves, others: Leaves, path: str) -> str:
    found = leaves.fields.get(path)
    if found is not None:
        return found.text
    if path in leaves.messages:  # it has fields, which are compared one by one
        return others.fields[path].text
    default = others.fields[path].default
    return default if default is not None and path.rpartition(".")[0] in leaves.messages else NOT_THERE


def between(before: Leaves, after: Leaves, by: Mapping[str, str]) -> list[Change]:
    """The changes from one message to another; `by` has the field of the spec for each path."""
    return [
        Change(path, _cut(_text(before, after, path)), _cut(_text(after, before, path)), by.get(path, ""))
        for path in differing(before, after)
    ]


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"
