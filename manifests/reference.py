"""Write docs/reference.md, the field reference of TrainingRun, from the CRD.

Invariant: every description on the page comes from the CRD. `--check` writes nothing and fails when the page is out of
date.
"""
# ruff: noqa: INP001 - a program, not part of a package

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
CRD: Final = ROOT / "manifests" / "crd" / "trainingruns.trainingrun.dev.yaml"
PAGE: Final = ROOT / "docs" / "reference.md"
MUTABLE: Final = "`suspend`, `finish`, `retry` (only raised), `tensorboard` and `ttlSecondsAfterFinished`"
INTRODUCTION: Final = (
    "Every field of a `{kind}` (`{api}`): what it means, its type, bounds and default. `kubectl explain` "
    "shows the same descriptions. The [user guide](user-guide.md) shows how to use them."
)

Schema = Mapping[str, Any]


def render(crd: Mapping[str, Any]) -> str:
    """The page as Markdown; raises KeyError when a field has no description."""
    (version,) = crd["spec"]["versions"]
    root: Schema = version["schema"]["openAPIV3Schema"]
    api = f"{crd['spec']['group']}/{version['name']}"
    return "\n".join(
        [
            "# API reference",
            "",
            f"<!-- Generated from {CRD.relative_to(ROOT)} by manifests/reference.py: change it there. -->",
            "",
            INTRODUCTION.format(kind=crd["spec"]["names"]["kind"], api=api),
            "",
            root["description"],
            "",
            *(f"- {rule['message']}" for rule in root["x-kubernetes-validations"]),
            f"- After creation, only these fields of `spec` can be changed: {MUTABLE}.",
            "",
            *_section("spec", root["properties"]["spec"]),
            *_section("status", root["properties"]["status"]),
            "## Columns of `kubectl get trainingruns`",
            "",
            "| column | shows | needs |",
            "|---|---|---|",
            *(_column(column) for column in version["additionalPrinterColumns"]),
            "",
        ]
    )


def _section(title: str, schema: Schema) -> Iterator[str]:
    yield from (f"## {title}", "", schema["description"], "")
    yield from ("| field | type and bounds | default | meaning |", "|---|---|---|---|")
    for path, field, required in _fields("", schema):
        meaning, _, default = field["description"].partition(" Default: ")
        shown = "required" if required else _cell(default).removesuffix(".")
        yield f"| `{path}` | {_type(field)} | {shown} | {_cell(meaning)}{_rules(field)} |"
    yield ""


def _fields(prefix: str, schema: Schema) -> Iterator[tuple[str, Schema, bool]]:
    """Path, schema and whether it is required, depth first in the order of the CRD."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        yield path, field, name in required
        yield from _fields(f"{path}.", field)
        if "items" in field:
            yield from _fields(f"{path}[].", field["items"])


def _type(field: Schema) -> str:
    if "enum" in field:
        return " \\| ".join(f"`{value}`" for value in field["enum"])
    if field.get("x-kubernetes-int-or-string"):
        return f"integer or string{_bounds(field, 'minimum', 'maximum')}" if "minimum" in field else "quantity"
    if field.get("x-kubernetes-preserve-unknown-fields"):
        return "number or string" if "not" in field else "number, true or false, text or list"
    kind = str(field["type"])
    if kind == "array":
        return f"list{_bounds(field, 'minItems', 'maxItems')} of {_type(field['items'])}"
    if "additionalProperties" in field:
        entry = _type(field["additionalProperties"])
        return f"map{_bounds(field, 'minProperties', 'maxProperties')} of {entry}"
    if kind == "string":
        return f"{field.get('format', kind)}{_bounds(field, 'minLength', 'maxLength')}"
    return f"{kind}{_bounds(field, 'minimum', 'maximum')}"


def _bounds(field: Schema, low: str, high: str) -> str:
    """Bounds such as ` (1..500)`: of a number, of the length of a string, or of the entries of a list or map."""
    if low in field and high in field:
        return f" ({field[low]}..{field[high]})"
    if high in field:
        return f" (≤ {field[high]})"
    return f" (≥ {field[low]})" if low in field else ""


def _rules(field: Schema) -> str:
    """Messages of the API server for values it refuses, except messages that contain the value."""
    rules = field.get("x-kubernetes-validations", ())
    return "".join(f"<br>{_cell(rule['message'])}." for rule in rules if "message" in rule)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _column(column: Mapping[str, Any]) -> str:
    shown = column.get("description", "Time since creation")
    wide = "`-o wide`" if column.get("priority") else ""
    return f"| {column['name']} | {shown} (`{column['jsonPath']}`) | {wide} |"


if __name__ == "__main__":
    from generated import write_or_check

    sys.exit(write_or_check({PAGE: render(yaml.safe_load(CRD.read_text(encoding="utf-8")))}, doc=__doc__))
