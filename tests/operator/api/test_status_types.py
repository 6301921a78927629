"""The types of the status, generated from the CRD."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """The program that writes the types."""
    spec = importlib.util.spec_from_file_location("status_types", ROOT / "manifests" / "status_types.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def crd(**fields: Any) -> dict[str, Any]:
    """A CRD with these status fields, reduced to what the program reads."""
    status = {"description": "All of it.", "properties": fields}
    return {"spec": {"versions": [{"schema": {"openAPIV3Schema": {"properties": {"status": status}}}}]}}


def fields_of(text: str, name: str) -> list[str]:
    """Lines of a class below its docstring."""
    return text.partition(f"class {name}(TypedDict, total=False):\n")[2].split("\n\n")[1].splitlines()


def test_the_file_is_what_the_program_writes(generator: ModuleType) -> None:
    assert generator.MODULE.read_text() == generator.render(yaml.safe_load(generator.CRD.read_text()))


@pytest.mark.parametrize(
    ("schema", "line"),
    [
        ({"type": "string", "description": "A text."}, "    x: str  # A text."),
        ({"type": "string", "description": "Long. " * 20}, "    x: str"),
        ({"type": "string", "enum": ["a", "b"], "description": "One."}, '    x: Literal["a", "b"]  # One.'),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}, "description": "By name."},
            "    x: dict[str, int]  # By name.",
        ),
        (
            {"type": "array", "items": {"type": "number"}, "description": "Numbers."},
            "    x: list[float]  # Numbers.",
        ),
        ({"type": "object", "properties": {}, "description": "A part."}, "    x: X  # A part."),
    ],
    ids=["string", "long description", "enum", "map", "list", "object"],
)
def test_a_field_becomes_its_type(schema: dict[str, Any], line: str, generator: ModuleType) -> None:
    assert fields_of(generator.render(crd(x=schema)), "Status") == [line]


def test_entries_of_a_list_have_a_class_and_their_required_fields(generator: ModuleType) -> None:
    entry = {
        "description": "One.",
        "required": ["stage"],
        "properties": {
            "stage": {"type": "string", "description": "Its stage."},
            "number": {"type": "integer", "description": "Its number."},
        },
    }
    text = generator.render(crd(attempts={"type": "array", "items": entry, "description": "All."}))
    assert fields_of(text, "Status") == ["    attempts: list[StageAttempts]  # All."]
    assert fields_of(text, "StageAttempts") == [
        "    stage: Required[str]  # Its stage.",
        "    number: int  # Its number.",
    ]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "object", "properties": {}}, "description": "A list without a class name."},
        {"type": "null", "description": "A type that Python has no name for here."},
    ],
    ids=["list", "type"],
)
def test_a_field_that_has_no_type_is_an_error(schema: dict[str, Any], generator: ModuleType) -> None:
    with pytest.raises(KeyError):
        generator.render(crd(x=schema))
