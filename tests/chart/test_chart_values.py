"""The chart's values: wrong ones are refused before anything is installed; generated files are up to date."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "trainingrun-operator"

REFUSED = [
    ("replicas=2", "additional properties 'replicas' not allowed"),
    ("images.worker.tag=1", "additional properties 'worker' not allowed"),
    ("images.agent.name=a", "additional properties 'name' not allowed"),
    ("images.agent.tag=latest", "at '/images/agent/tag'"),
    ("images.agent.tag=2", "at '/images/agent/tag': got number, want string"),
    ("images.agent.digest=sha256:abc", "at '/images/agent/digest'"),
    ("images.agent.repository=", "at '/images/agent/repository'"),
    ("imagePullPolicy=Sometimes", "value must be one of 'Always', 'IfNotPresent', 'Never'"),
    ("imagePullSecrets={one}", "at '/imagePullSecrets/0'"),
    ("watchNamespaces=vision", "at '/watchNamespaces'"),
    ("watchNamespaces={Vision}", "at '/watchNamespaces/0'"),
    ("policy.secretNames={}", "at '/policy/secretNames/0'"),
    ("policy.secretNames=null", "at '/policy'"),
    ("policy.endpoints={a b}", "at '/policy/endpoints/0'"),
    ("policy.endpoints={s3.example.com}", "at '/policy/endpoints/0'"),
    ("policy.endpoints={https://s3.example.com/}", "at '/policy/endpoints/0'"),
    ("policy.endpoints={https://a@s3.example.com}", "at '/policy/endpoints/0'"),
    ("policy.tolerations={a b}", "at '/policy/tolerations/0'"),
    ("policy.buckets={a}", "additional properties 'buckets' not allowed"),
    ("failedJobsTTLSeconds=-1", "at '/failedJobsTTLSeconds'"),
    ("lostPodSeconds=9", "at '/lostPodSeconds'"),
    ("log.level=LOUD", "at '/log/level'"),
    ("crds.install=true", "additional properties 'install' not allowed"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=[value for value, _ in REFUSED])
def test_wrong_value_is_refused(value: str, message: str, rendered: Callable[..., list[Any]]) -> None:
    """By the schema, with the path of the value."""
    with pytest.raises(subprocess.CalledProcessError) as refused:
        rendered(value)
    assert message in refused.value.stderr


def _objects(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if "properties" in schema:
            yield path, schema
        for key, value in schema.items():
            yield from _objects(value, f"{path}/{key}")


def test_schema_knows_every_value_and_no_other() -> None:
    """No object of the schema is open, and the defaults are exactly what it lists."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert [path for path, each in _objects(schema) if each.get("additionalProperties") is not False] == []
    assert schema["properties"].keys() - {"global"} == values.keys()
    for name, value in values.items():
        known = schema["properties"][name].get("properties")
        if known:
            assert known.keys() == value.keys(), name


def test_readme_documents_every_value() -> None:
    """By its full path, but for what the four images share."""
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    paths = [
        f"{name}.{part}" if name in ("crds", "userRoles", "policy", "log") else name
        for name, value in values.items()
        for part in (value if isinstance(value, dict) and value else [""])
    ]
    assert [path for path in paths if f"`{path}" not in readme] == []
    assert [part for part in values["images"]["agent"] if f".{part}`" not in readme] == []


def test_version_is_that_of_the_operator() -> None:
    """An empty tag means the image that was released with the chart."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = (ROOT / "operator" / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{chart["appVersion"]}"' in project


@pytest.mark.parametrize("program", ["charts/sync.py", "manifests/reference.py"])
def test_generated_files_are_up_to_date(program: str) -> None:
    """One source each; `make chart` writes them."""
    done = subprocess.run(
        [sys.executable, str(ROOT / program), "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
