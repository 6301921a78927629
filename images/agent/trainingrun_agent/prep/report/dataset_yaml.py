"""The `dataset` of a report as YAML, in the order in which the documentation has its fields.

Invariant: fields that this version does not know come last, and none is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trainingrun_agent.yaml_text import block

PLACEHOLDER = "BUCKET"
"""Stands in a uri for the name of the bucket, where nobody has said it; no bucket can have this name."""
_ORDER = ("train", "eval", "uri", "imageSet", "format", "labels", "evalFraction", "splitSeed", "splitGroup", "classes")


def dataset_lines(dataset: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """The lines of the field `dataset`, from its name on."""
    yield from block({"dataset": _ordered(dataset)}, indent)


def _ordered(document: Mapping[str, Any]) -> dict[str, Any]:
    names = sorted(document, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    return {name: _ordered(document[name]) if isinstance(document[name], Mapping) else document[name] for name in names}
