"""The chart's files agree with each other: schema, values, README, versions."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "trainingrun-operator"
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
# Values of a parent chart, and objects that the API server checks.
OPEN = {"/properties/global", *(f"/properties/affinity/properties/{kind}Affinity" for kind in ("node", "pod"))}
OPEN |= {"/properties/affinity/properties/podAntiAffinity"}


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    """The program that writes the chart's README."""
    spec = importlib.util.spec_from_file_location("chart_readme", ROOT / "charts" / "readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _objects(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield path, schema
        for key, value in schema.items():
            yield from _objects(value, f"{path}/{key}")


def test_no_object_of_the_schema_is_open() -> None:
    """A map with any keys has a type for its values."""
    assert {path for path, each in _objects(SCHEMA) if not _closed(each)} == OPEN


def _closed(schema: dict[str, Any]) -> bool:
    more = schema.get("additionalProperties", True)
    return more is False or (isinstance(more, dict) and "type" in more)


def test_schema_takes_the_defaults_and_knows_every_value() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(VALUES)
    assert SCHEMA["properties"].keys() - {"global"} == VALUES.keys()
    for name in ("images", "crds", "userRoles", "policy", "networkPolicy", "log"):
        assert SCHEMA["properties"][name]["properties"].keys() == VALUES[name].keys(), name


def test_version_is_that_of_the_operator() -> None:
    """An empty tag means the image that was released with the chart."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = (ROOT / "operator" / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{chart["appVersion"]}"' in project


def test_a_comment_becomes_the_meaning_of_a_value(readme: ModuleType) -> None:
    text = "# About the file.\n\n# Both\n# lines.\na: 1\nb:\n  # Said.\n  c: [x]\n  # With parts.\n  d: {e: 2}\n"
    assert readme.table(text).splitlines()[2:] == [
        "| `a` | `1` | Both lines. |",
        '| `b.c` | `["x"]` | Said. |',
        '| `b.d` | `{"e": 2}` | With parts. |',
    ]


@pytest.mark.parametrize("text", ["a: 1\n", "# Of a.\na: 1\nb:\n  # Of c.\n  c: 2\n  d: 3\n"])
def test_a_value_without_a_comment_is_an_error(text: str, readme: ModuleType) -> None:
    with pytest.raises(readme.ValuesError, match=r"values.yaml: (a|b\.d) has no comment above it"):
        readme.table(text)


def test_no_folder_that_the_documentation_deletes_has_the_namespace() -> None:
    """`kubectl delete --filename manifests/operator` would delete everything that others keep in the namespace."""
    files = [*(ROOT / "manifests" / "operator").iterdir(), *(ROOT / "manifests" / "rbac").iterdir()]
    kinds = {body["kind"] for file in files for body in yaml.safe_load_all(file.read_text(encoding="utf-8"))}
    assert "Deployment" in kinds
    assert not {"Namespace", "CustomResourceDefinition"} & kinds
