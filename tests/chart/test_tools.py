"""helm lint, helm-unittest and kubeconform accept the chart."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from trcluster import build
from trcluster.command import CommandError, run
from trcluster.modules import BY_NAME
from trcluster.paths import MODULES
from trfakes.schema import CRD, strict

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "trainingrun-operator"
Body = dict[str, Any]
Tool = Callable[..., str]


def test_lint_passes(tool: Tool) -> None:
    """A warning counts as a failure."""
    assert "0 chart(s) failed" in tool("helm", "lint", "--strict", str(CHART))


def test_the_charts_own_tests_pass(tool: Tool) -> None:
    """All files in charts/trainingrun-operator/tests are run."""
    printed = tool("helm-unittest", "--strict", str(CHART))
    suites = len(list((CHART / "tests").glob("*_test.yaml")))
    assert re.search(rf"Test Suites: +{suites} passed, {suites} total", printed), printed


@pytest.fixture(scope="module")
def kubeconform(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """Validates a YAML stream; returns `kind name` of each object, raises CommandError with the findings."""
    folder = tmp_path_factory.mktemp("schemas")
    _write_schemas(folder)
    location = f"{folder}/{{{{.ResourceKind}}}}-{{{{.Group}}}}-{{{{.ResourceAPIVersion}}}}.json"

    def run(text: str) -> list[str]:
        file = folder / "objects.yaml"
        file.write_text(text)
        options = ("-strict", "-verbose", "-output", "json", "-schema-location", location)
        found = json.loads(tool("kubeconform", *options, str(file)))["resources"]
        assert {each["status"] for each in found} == {"statusValid"}, found
        return [f"{each['kind']} {each['name']}" for each in found]

    return run


def _write_schemas(folder: Path) -> None:
    """Write the schemas of all Kubernetes kinds, from its Go module, and of the TrainingRun."""
    module = BY_NAME["k8s"]
    argv = ["go", "mod", "download", "-json", "k8s.io/kubernetes"]
    environment = build._environment(module)
    printed = run(argv, cwd=MODULES / module.name, env=environment, timeout=300)
    swagger = Path(json.loads(printed)["Dir"]) / "api" / "openapi-spec" / "swagger.json"
    definitions = json.loads(swagger.read_text())["definitions"]
    (folder / "all.json").write_text(json.dumps({"definitions": strict(definitions)}))
    for name, schema in definitions.items():
        for kind in schema.get("x-kubernetes-group-version-kind", ()):
            reference = {"$ref": f"all.json#/definitions/{name}"}
            _schema_file(folder, kind["kind"], kind["group"], kind["version"]).write_text(json.dumps(reference))
    crd = yaml.safe_load(CRD.read_text())["spec"]
    (version,) = crd["versions"]
    ours = strict(version["schema"]["openAPIV3Schema"])
    _schema_file(folder, crd["names"]["kind"], crd["group"], version["name"]).write_text(json.dumps(ours))


def _schema_file(folder: Path, kind: str, group: str, version: str) -> Path:
    return folder / f"{kind.lower()}-{group or version}-{version}.json"


MODES = {
    "cluster": (),
    "namespaced": ("watchNamespaces={vision,robots}", "networkPolicy.enabled=true", "networkPolicy.runs=true"),
}


@pytest.mark.parametrize("mode", MODES)
def test_the_charts_objects_conform(mode: str, tool: Tool, kubeconform: Callable[[str], list[str]]) -> None:
    values = [option for value in MODES[mode] for option in ("--set", value)]
    assert (
        len(kubeconform(tool("helm", "template", "trainingrun-operator", str(CHART), *values)))
        == {
            "cluster": 17,
            "namespaced": 21,
        }[mode]
    )


def test_the_manifests_and_samples_conform(tool: Tool, kubeconform: Callable[[str], list[str]]) -> None:
    assert len(kubeconform(tool("kubectl", "kustomize", str(ROOT / "manifests")))) == 18
    samples = [path.read_text() for path in (ROOT / "manifests" / "samples").glob("*.yaml")]
    assert len(kubeconform("\n---\n".join(samples))) == len(samples)


def test_an_unknown_field_does_not_conform(kubeconform: Callable[[str], list[str]]) -> None:
    """kubeconform finds errors, so the tests above can fail."""
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 1, prot: TCP}]}\n"
    with pytest.raises(CommandError) as refused:
        kubeconform(service)
    assert "additional properties 'prot' not allowed" in refused.value.stdout
