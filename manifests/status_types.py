"""Write operator/trainingrun/api/status.py, the status of a TrainingRun as Python types, from the CRD.

Invariant: every field comes from the CRD; `--check` changes nothing and fails when the file is out of date.
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
MODULE: Final = ROOT / "operator" / "trainingrun" / "api" / "status.py"
HEAD: Final = '''"""The status of a TrainingRun as types, so that mypy finds a field that the CRD does not have.

Every field may be missing, except those marked `Required`: an older operator may not have written it.
Generated from {source} by {program}: change it there.
"""

from __future__ import annotations

from typing import Literal, Required, TypedDict
'''
SCALARS: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
# The fields name lists; a class is named for one entry.
ENTRIES: Final = {
    "conditions": "Condition",
    "attempts": "StageAttempts",
    "timings": "StageTimings",
    "history": "AttemptEnd",
}
MAX_LINE: Final = 120

Schema = Mapping[str, Any]


def render(crd: Mapping[str, Any]) -> str:
    """The module as Python; raises KeyError for a type that it does not know, or a list of objects without a name."""
    (version,) = crd["spec"]["versions"]
    status: Schema = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    head = HEAD.format(source=CRD.relative_to(ROOT), program=Path(__file__).relative_to(ROOT))
    return "\n".join([head, *_class("Status", status)])


def _class(name: str, schema: Schema) -> Iterator[str]:
    """Lines of a class and, below it, of the classes that its fields use."""
    yield from ("", f"class {name}(TypedDict, total=False):", f'    """{schema["description"]}"""', "")
    required = schema.get("required", ())
    for field, part in schema["properties"].items():
        kind = _type(field, part)
        line = f"    {field}: {f'Required[{kind}]' if field in required else kind}"
        explained = f"{line}  # {part['description']}"
        yield explained if len(explained) <= MAX_LINE else line
    yield ""
    for field, part in schema["properties"].items():
        inner = part.get("items", part)
        if "properties" in inner:
            yield from _class(_class_name(field, part), inner)


def _type(field: str, schema: Schema) -> str:
    if "enum" in schema:
        return f"Literal[{', '.join(_quoted(value) for value in schema['enum'])}]"
    if "properties" in schema.get("items", schema):
        name = _class_name(field, schema)
        return f"list[{name}]" if "items" in schema else name
    if "items" in schema:
        return f"list[{_type(field, schema['items'])}]"
    if "additionalProperties" in schema:
        return f"dict[str, {_type(field, schema['additionalProperties'])}]"
    return SCALARS[schema["type"]]


def _class_name(field: str, schema: Schema) -> str:
    return ENTRIES[field] if "items" in schema else field[0].upper() + field[1:]


def _quoted(value: str) -> str:
    return f'"{value}"'


if __name__ == "__main__":
    from generated import write_or_check

    sys.exit(write_or_check({MODULE: render(yaml.safe_load(CRD.read_text(encoding="utf-8")))}, doc=__doc__))
