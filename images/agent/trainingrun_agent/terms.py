"""The nouns of messages: fields of a TrainingRun in a pod, options and folders on the command line.

Invariant: a message is a template of ours, filled once. What users write is a value, never a template.

Templates are those of `str.format`. Beside its own values a template may use

- `{field[dataset.classes]}`: what the reader calls the field, `spec.dataset.classes` or `--classes`;
- `{change[dataset.classes]}`: how the reader gives it another value, such as `create a new TrainingRun with another
  spec.dataset.classes`;
- `{retry}`: how the reader runs the same thing again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Terms:
    """`fields` are the names that differ from `spec.<path>`; a `change` of a field is `change` followed by its name."""

    fields: Mapping[str, str] = field(default_factory=dict)
    change: str = "create a new TrainingRun with another"
    retry: str = "raise spec.retry"

    def name(self, path: str) -> str:
        """What the reader calls a field of the spec, such as `dataset.classes`."""
        return self.fields.get(path, f"spec.{path}")

    def fill(self, template: str, values: Mapping[str, object]) -> str:
        """The template with these values and terms, its first letter as the template has it. Raises KeyError."""
        return template.format_map({**values, "field": _Fields(self), "change": _Changes(self), "retry": self.retry})


class _Fields:
    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def __getitem__(self, path: str) -> str:
        return self._terms.name(path)


class _Changes(_Fields):
    def __getitem__(self, path: str) -> str:
        return f"{self._terms.change} {self._terms.name(path)}"


TRAININGRUN = Terms()
"""In a pod: messages reach the reader through the status of a TrainingRun."""
