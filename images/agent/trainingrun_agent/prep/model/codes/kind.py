"""A kind of finding: its severity, its texts, an example of what causes it.

Invariant: a finding stores its code and fields; every text is made from them when somebody reads it. Importing anything
of this package fills `KINDS` with all kinds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from string import Formatter
from typing import Any

from trainingrun_agent.terms import Terms

MAX_SEEN = 300
MAX_TEXT, MAX_ITEMS = 500, 8
"""Characters of a field, or of an item of a list; items of a list."""

Value = int | float | str | Sequence[int | float | str]
Fields = Mapping[str, Value]
"""What a finding was made of, as in images/contracts/report.schema.json."""

_PLACE = ("labelFile", "where")
"""Fields that any finding may have; they stand before the text where it does not name them."""
_TERMS = ("field", "change", "higher", "retry")


class Severity(StrEnum):
    """An error costs the file, a warning at most a box, an info nothing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Example:
    """Data that gives the finding, and the same data corrected.

    `file` is the name of the label file whose content both are; the image beside it is tire.jpg, 160 x 120 pixels.
    With FILES, both list the files of a folder. Without `file`, both describe the data.
    """

    bad: str
    good: str
    file: str = ""


FILES = "files"


@dataclass(frozen=True, eq=False)
class FindingKind:
    """`seen` is the template of what was seen, or one per case; the others never depend on the fields.

    A finding without case, of a version that had none, has the first one. `urgent` kinds come first within their
    severity. `meaning` and `effect` are for documentation: what the finding means, and what it does to a detector.
    """

    code: str
    severity: Severity
    meaning: str
    effect: str
    seen: str | Mapping[str, str]
    advice: str
    example: Example
    done: str = "file skipped"
    urgent: bool = False

    def __post_init__(self) -> None:
        if self.code in KINDS:
            raise ValueError(f"{self.code} is there twice")
        KINDS[self.code] = self

    def __reduce__(self) -> tuple[Any, ...]:
        """Workers send findings through a pipe: the code is enough."""
        return kind_of, (self.code,)

    def describe(self, fields: Fields, terms: Terms) -> str:
        """What was seen. Raises KeyError for fields that are not complete."""
        template = self._template(fields)
        named = field_names(template)
        place = " ".join(str(fields[name]) for name in _PLACE if name in fields and name not in named)
        text = terms.fill(template, {name: _shown(value) for name, value in fields.items()})
        return (f"{place}: {text}" if place else text)[:MAX_SEEN]

    def done_text(self, terms: Terms) -> str:
        """What preparation did about it, for people."""
        return terms.fill(self.done, {})

    def advice_text(self, terms: Terms) -> str:
        """What the user can do about it."""
        return terms.fill(self.advice, {})

    def check(self, fields: Fields) -> None:
        """Raises KeyError for fields without which the finding cannot be described."""
        for name in field_names(self._template(fields)):
            fields[name]

    def _template(self, fields: Fields) -> str:
        if isinstance(self.seen, str):
            return self.seen
        first = next(iter(self.seen))  # a finding from before there were cases
        return self.seen[str(fields.get("case", first))]


KINDS: dict[str, FindingKind] = {}
"""By code."""


def kind_of(code: str) -> FindingKind:
    """The kind with this code. Raises KeyError."""
    return KINDS[code]


@cache
def field_names(template: str) -> frozenset[str]:
    """The fields that a template names."""
    named = (name.partition("[")[0] for _, name, _, _ in Formatter().parse(template) if name)
    return frozenset(name for name in named if name not in _TERMS)


def bounded(fields: Fields) -> dict[str, Value]:
    """The fields, cut to the bounds of the schema. Raises TypeError for a value that is none of `Value`."""
    return {name: _cut(value) for name, value in fields.items()}


def _cut(value: Value) -> Value:
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, int | float):
        return value
    items = list(value[:MAX_ITEMS])
    if not all(isinstance(item, str | int | float) for item in items):
        raise TypeError("a field of a finding is a number, a text, or a list of them")
    return [item[:MAX_TEXT] if isinstance(item, str) else item for item in items]


class _Count(int):
    """`{count:box|boxes}` is "1 box" or "2 boxes"."""

    def __format__(self, spec: str) -> str:
        if "|" not in spec:
            return super().__format__(spec)
        one, many = spec.split("|")
        return f"{int(self)} {one if self == 1 else many}"


class _Items(list[int | float | str]):
    """Shown with commas between the items."""

    def __format__(self, spec: str) -> str:
        return ", ".join(item if isinstance(item, str) else f"{item:g}" for item in self)


def _shown(value: Value) -> object:
    if isinstance(value, int):
        return _Count(value)
    return value if isinstance(value, str | float) else _Items(value)
