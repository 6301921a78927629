"""The CRD's schema: each field has a description, bounds, and its default in the description."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from trfakes.recording import RECORDINGS, Recording

Field = dict[str, Any]

CRD = Path(__file__).resolve().parents[2] / "manifests" / "crd" / "trainingruns.trainingrun.dev.yaml"
SAMPLES = CRD.parents[1] / "samples"
OTHER_WAY = [
    "spec.storage.credentials.serviceAccountName",
    "spec.storage.credentials.roleARN",
    "spec.storage.credentials.stsEndpoint",
    "spec.dataset.train.labels",
    "spec.dataset.train.labels.uri",
    "spec.dataset.eval.labels",
    "spec.dataset.eval.labels.uri",
    "spec.dataset.intensityRange",
    "spec.model.pretrained.run",
    "spec.model.pretrained.sha256",
    "spec.resumeFrom",
    "spec.resumeFrom.run",
    "spec.resumeFrom.uri",
    "spec.dataset.evalFraction",
    "spec.dataset.splitSeed",
    "spec.dataset.splitGroup",
    "spec.model.config.configMap",
    "spec.model.config.configMap.name",
    "spec.model.config.configMap.key",
    "spec.train.classWeights",
]


def _schema(path: Path) -> Field:
    found: Field = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


ROOT = _schema(CRD)


def _walk(field: Field, path: str) -> Iterator[tuple[str, Field]]:
    yield path, field
    for name, child in field.get("properties", {}).items():
        yield from _walk(child, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(field.get(inner), dict):
            yield from _walk(field[inner], f"{path}[]")


SPEC = list(_walk(ROOT["properties"]["spec"], "spec"))
EVERYTHING = SPEC + list(_walk(ROOT["properties"]["status"], "status"))
NAMED = [(path, field) for path, field in EVERYTHING if not path.endswith("[]")]


@pytest.mark.parametrize(("path", "field"), NAMED, ids=[path for path, _ in NAMED])
def test_field_is_described(path: str, field: Field) -> None:
    """`kubectl explain` reads like documentation."""
    assert field.get("description", "").endswith("."), path


@pytest.mark.parametrize(("path", "field"), EVERYTHING, ids=[path for path, _ in EVERYTHING])
def test_field_is_bounded(path: str, field: Field) -> None:
    """Each field has an upper bound, in the spec that users send and in the status that the operator writes."""
    kind = field.get("type")
    if kind == "string":
        assert {"maxLength", "enum", "format"} & field.keys(), path
    elif kind == "array":
        assert "maxItems" in field, path
    elif kind == "object":
        assert "properties" in field or "maxProperties" in field, path
    elif field.get("x-kubernetes-preserve-unknown-fields"):  # a value of any type, but not an object with fields
        assert {"maxLength", "maxItems", "maxProperties"} <= field.keys(), path
    elif kind in ("integer", "number"):
        assert "minimum" in field, path
        assert "maximum" in field or path.startswith("status"), path
    else:
        assert kind == "boolean" or field.get("x-kubernetes-int-or-string"), path


@pytest.mark.parametrize(
    ("path", "field"),
    [(path, field) for path, field in SPEC if field.get("default") not in (None, {}, "")],
    ids=[path for path, field in SPEC if field.get("default") not in (None, {}, "")],
)
def test_description_says_the_default(path: str, field: Field) -> None:
    """`kubectl explain` shows descriptions only."""
    default = field["default"]
    shown = str(default).lower() if isinstance(default, bool) else str(default)
    assert f" Default: {shown}." in field["description"], path


@pytest.mark.parametrize("recording", RECORDINGS, ids=[recording.folder.name for recording in RECORDINGS])
def test_a_new_rule_is_not_about_the_whole_object(recording: Recording) -> None:
    """Rules at `spec` or below are not asked again about what did not change; a rule at the root locks old objects."""
    before = _schema(recording.crd)["x-kubernetes-validations"]
    assert [rule for rule in ROOT["x-kubernetes-validations"] if rule["rule"] not in {b["rule"] for b in before}] == []


def test_full_sample_sets_every_field() -> None:
    """Users look for a field in `full.yaml`; `pod` is shown once."""
    body = yaml.safe_load((SAMPLES / "full.yaml").read_text(encoding="utf-8"))
    missing = [
        path
        for path, _ in SPEC
        if "[]" not in path and not _has(body, path) and ".pod" not in path and path not in OTHER_WAY
    ]
    assert missing == []


def test_full_sample_shows_the_other_way_in_comments() -> None:
    """full.yaml promises to show every field."""
    text = (SAMPLES / "full.yaml").read_text(encoding="utf-8")
    assert [path for path in OTHER_WAY if not re.search(rf"#.*\b{path.rpartition('.')[2]}: ", text)] == []


def _has(body: Any, path: str) -> bool:
    for step in path.split("."):
        if not isinstance(body, dict) or step not in body:
            return False
        body = body[step]
    return True
