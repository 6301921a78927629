"""JSON Schemas of the contracts and the CRD; a field that the API server would prune is an error."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[3]
CRD = ROOT / "manifests" / "crd" / "trainingruns.trainingrun.dev.yaml"


def errors(validator: Draft202012Validator, document: object) -> list[str]:
    """Validate a document; returns one line per error."""
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


@cache
def contract(name: str) -> Draft202012Validator:
    """Validator of images/contracts/<name>.schema.json."""
    schema = json.loads((ROOT / "images" / "contracts" / f"{name}.schema.json").read_text())
    return Draft202012Validator(schema)


def contract_part(name: str, part: str) -> Draft202012Validator:
    """Validator of one definition in a contract."""
    schema: Any = contract(name).schema
    return Draft202012Validator({"$defs": schema["$defs"], "$ref": f"#/$defs/{part}"})


@cache
def crd_part(part: str) -> Draft202012Validator:
    """Validator of the CRD's `spec` or `status`."""
    version = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]
    return Draft202012Validator(_with_bounds(strict(version["schema"]["openAPIV3Schema"]["properties"][part])))


def strict(schema: Any) -> Any:
    """Convert a Kubernetes OpenAPI schema to a JSON Schema of draft 4 that rejects unknown fields."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        made["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string") is True or schema.get("format") == "int-or-string":
        made["type"] = ["integer", "string"]
    if schema.get("format") == "date-time":
        made["pattern"] = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
    return made


def _with_bounds(schema: Any) -> Any:
    """Draft 4, like OpenAPI, says whether a bound itself is excluded; later drafts say which bound is."""
    if isinstance(schema, list):
        return [_with_bounds(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _with_bounds(value) for key, value in schema.items()}
    for bound in ("Minimum", "Maximum"):
        if schema.get(f"exclusive{bound}") is True:
            made[f"exclusive{bound}"] = schema[bound.lower()]
    return made
