"""The nouns of messages: fields of a TrainingRun in a pod, options and folders on the command line.

Invariant: a message is a template of ours, filled once. What users write is a value, never a template.

Templates are those of `str.format`. Beside its own values a template may use

- `{field[dataset.classes]}`: what the reader calls the field, `spec.dataset.classes` or `--classes`;
- `{change[dataset.classes]}`: how the reader gives it another value, such as `create a new TrainingRun with another
  spec.dataset.classes`; `{higher[…]}` and `{lower[…]}` are the same with a direction;
- `{retry}`: how the reader runs the same thing again, `{new_run}`: how with other fields;
- `{here}`: where the program runs, `the pod` or `this machine`;
- `{credentials}`: where it has its credentials from.

A path that begins with `stage.` stands for the stage that runs: `stage.scratch` is `prep.scratch` in prep.

A value may be a `Text`, which is filled in the same terms: a `Field`, a `Change`, a `Place`, a `Message`, an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeGuard, runtime_checkable

from trainingrun_agent.yaml_text import scalar

STAGE = "stage."


@runtime_checkable
class Text(Protocol):
    """What reads differently for different readers."""

    def in_terms(self, terms: Terms) -> str:
        """The text for the reader of these terms."""


@dataclass(frozen=True)
class Terms:
    """`fields` are the names that differ from `spec.<path>`; a change of a field is `set`, `another` and its name.

    `changes` are the phrases for fields where that would be wrong; `scheme` begins the address of an object.
    `values` are the values that fields have now, by path.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, str] = field(default_factory=dict)
    set: str = "create a new TrainingRun with"
    retry: str = "raise spec.retry"
    new_run: str = "create a new TrainingRun"
    here: str = "the pod"
    credentials: str = "the Secret named in spec.storage.credentials.secretName"
    scheme: str = "s3://"
    stage: str = ""
    values: Mapping[str, object] = field(default_factory=dict)

    def path(self, path: str) -> str:
        """The path with the stage that runs in it."""
        return path.replace(STAGE, f"{self.stage}.", 1) if self.stage and path.startswith(STAGE) else path

    def name(self, path: str) -> str:
        """What the reader calls a field of the spec, such as `dataset.classes`."""
        known = self.path(path)
        shown = f"<stage>.{known.removeprefix(STAGE)}" if known.startswith(STAGE) else known
        return self.fields.get(known, f"spec.{shown}")

    def change_of(self, path: str, *, now: object = None, to: object = None, how: str = "another") -> str:
        """How the reader gives a field another value, with the value now and one to try where they are known."""
        if path in self.changes:
            return self.changes[path]
        shown = "" if now is None else f" (now {self.value(now)})"
        if to is None:
            return f"{self.set} {how} {self.name(path)}{shown}"
        return f"{self.set} {self.assigned(path, to)}{shown}"

    def assigned(self, path: str, value: object) -> str:
        """A field with its value, as the reader writes it."""
        return f"{self.name(path)}: {self.value([*map(scalar, value)] if is_list(value) else scalar(value))}"

    def value(self, value: object) -> str:
        """A value of a field, as the reader writes it."""
        return f"[{', '.join(map(str, value))}]" if is_list(value) else str(value)

    def place(self, bucket: str, key: str) -> str:
        """The address of an object."""
        return f"{self.scheme}{bucket}/{key}"

    def fill(self, template: str, values: Mapping[str, object]) -> str:
        """The template with these values and terms, its first letter as the template has it. Raises KeyError."""
        return template.format_map(self._known(values))

    def fill_known(self, template: str, values: Mapping[str, object]) -> str:
        """As `fill`, with `<name>` for a value that is not there."""
        return template.format_map(_Lenient(self._known(values)))

    def _known(self, values: Mapping[str, object]) -> dict[str, object]:
        texts = {name: value.in_terms(self) if isinstance(value, Text) else value for name, value in values.items()}
        known = {one.path: one for one in values.values() if isinstance(one, Change)}
        terms = {
            "retry": self.retry,
            "new_run": self.new_run,
            "here": self.here,
            "credentials": self.credentials,
            "field": _Fields(self),
            "change": _Changes(self, known, "another"),
            "higher": _Changes(self, known, "a higher"),
            "lower": _Changes(self, known, "a lower"),
        }
        return {**texts, **terms}


@dataclass(frozen=True)
class Field:
    """A field of the spec, by its path."""

    path: str

    def in_terms(self, terms: Terms) -> str:
        """Its name."""
        return terms.name(self.path)


@dataclass(frozen=True)
class Change:
    """Another value for a field: its value now, and one to try, where they are known."""

    path: str
    now: object = None
    to: object = None

    def in_terms(self, terms: Terms, how: str = "another") -> str:
        """How the reader makes the change."""
        return terms.change_of(self.path, now=self.now, to=self.to, how=how)


@dataclass(frozen=True)
class Place:
    """An object, or a prefix, of a bucket or folder."""

    bucket: str
    key: str

    def in_terms(self, terms: Terms) -> str:
        """Its address."""
        return terms.place(self.bucket, self.key)


@dataclass(frozen=True)
class Message:
    """A template with its values."""

    template: str
    values: Mapping[str, object] = field(default_factory=dict)

    def in_terms(self, terms: Terms) -> str:
        """The template, filled."""
        return terms.fill_known(self.template, self.values)


def is_list(value: object) -> TypeGuard[Sequence[object]]:
    """Whether a field's value has several elements, as class names have."""
    return isinstance(value, Sequence) and not isinstance(value, str)


class _Fields:
    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def __getitem__(self, path: str) -> str:
        return self._terms.name(path)


class _Changes(_Fields):
    def __init__(self, terms: Terms, known: Mapping[str, Change], how: str) -> None:
        super().__init__(terms)
        self._known, self._how = known, how

    def __getitem__(self, path: str) -> str:
        return self._known.get(path, Change(path)).in_terms(self._terms, self._how)


class _Lenient(dict[str, object]):
    def __missing__(self, name: str) -> Any:
        return _Unknown(name)


class _Unknown:
    def __init__(self, name: str) -> None:
        self._shown = f"<{name}>"

    def __repr__(self) -> str:
        return self._shown

    def __format__(self, _: str) -> str:
        return self._shown


TRAININGRUN = Terms()
"""In a pod: messages reach the reader through the status of a TrainingRun."""
