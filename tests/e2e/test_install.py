"""Helm and kustomize as a platform engineer uses them, with a run in flight.

This module takes the scene's installation away, so it is the last one (conftest.py).
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from trcluster import current
from trdemo import install
from trdemo.follow import condition
from trdemo.scene import Scene, tire_run
from trimages.paths import REPOSITORY

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(current.wanted(), reason="would remove the operator of the cluster at hand"),
]

RUN, SYSTEM = "flight", install.SYSTEM_NAMESPACE
KEPT = {"CustomResourceDefinition//trainingruns.trainingrun.dev", "APIService//v1alpha1.trainingrun.dev"}
IN_EVERY_NAMESPACE = {f"ConfigMap/{SYSTEM}/kube-root-ca.crt", f"ServiceAccount/{SYSTEM}/default"}


def operator(scene: Scene) -> dict[str, Any]:
    """The one pod of the operator that is not on its way out."""
    pods = scene.place.kubectl.get("pods", namespace=SYSTEM)["items"]
    (pod,) = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return dict(pod)


def log_level(pod: dict[str, Any]) -> str:
    return str(next(e["value"] for e in pod["spec"]["containers"][0]["env"] if e["name"] == "TRAININGRUN_LOG_LEVEL"))


def in_flight(scene: Scene, namespace: str) -> dict[str, str]:
    """UID of the Job and the pod that train, and the restarts of the pod's containers."""
    found = scene.place.kubectl.get("jobs,pods", namespace=namespace, selector="trainingrun.dev/stage=train")["items"]
    counts = [[c["restartCount"] for c in each["status"].get("containerStatuses", ())] for each in found]
    return {f"{each['kind']} {count}": each["metadata"]["uid"] for each, count in zip(found, counts, strict=True)}


def everything(scene: Scene) -> set[str]:
    """Every object of the cluster but Events, as kind/namespace/name."""
    kubectl = scene.place.kubectl
    kinds = kubectl("api-resources", "--verbs=list", "-o", "name").split()
    asked = ",".join(kind for kind in kinds if not kind.startswith(("events", "componentstatuses")))
    columns = "custom-columns=K:.kind,S:.metadata.namespace,N:.metadata.name"
    lines = kubectl("get", asked, "-A", "--no-headers", "--ignore-not-found", "-o", columns).splitlines()
    return {"/".join(line.split()).replace("<none>", "") for line in lines}


def traces(objects: set[str]) -> set[str]:
    """What an installation could leave: all of its namespace, and what is named after it."""
    named = re.compile(rf"(?!Secret/).*/[^/]*trainingrun[^/]*|[^/]*/{SYSTEM}/.*")
    return {each for each in objects if named.fullmatch(each)} - IN_EVERY_NAMESPACE


@dataclass
class Flight:
    """What was seen on the way."""

    pods: list[dict[str, Any]] = field(default_factory=list)  # of the operator: installed, upgraded, rolled back
    children: list[dict[str, str]] = field(default_factory=list)  # at the same moments
    steps: list[int] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)

    def look(self, scene: Scene, namespace: str) -> None:
        self.pods.append(operator(scene))
        self.children.append(in_flight(scene, namespace))
        self.steps.append(scene.status(RUN, namespace=namespace)["training"]["step"])


@pytest.fixture(scope="module")
def flight(scene: Scene, namespace: str) -> Flight:
    """A run during which the operator is upgraded over itself and rolled back."""
    told = Flight()

    def until_step_after(step: int) -> None:
        def seen(status: dict[str, Any]) -> bool:
            return bool(status.get("training", {}).get("step", 0) > step)

        scene.until(RUN, seen, namespace=namespace, seconds=180, what=f"a step after {step}")
        told.look(scene, namespace)

    scene.apply(tire_run(RUN, train={"steps": 150, "saveEverySteps": 150, "evalEverySteps": 150}), namespace=namespace)
    until_step_after(0)
    chart = (install.RELEASE, str(install.CHART), "--reuse-values", "--wait")
    install.helm(scene.place, "upgrade", *chart, "--set", "log.level=DEBUG")
    until_step_after(told.steps[-1])
    install.helm(scene.place, "rollback", install.RELEASE, "--wait")
    until_step_after(told.steps[-1])
    told.end = scene.finished(RUN, namespace=namespace, seconds=300)
    return told


def test_an_upgrade_and_a_rollback_really_replace_the_operator(flight: Flight) -> None:
    assert [log_level(pod) for pod in flight.pods] == ["INFO", "DEBUG", "INFO"]
    assert len({pod["metadata"]["uid"] for pod in flight.pods}) == 3


def test_the_run_in_flight_is_not_touched(flight: Flight) -> None:
    first = flight.children[0]
    assert set(first) == {"Job []", "Pod [0, 0]"}
    assert flight.children == [first] * 3
    assert [attempt["number"] for attempt in flight.end["attempts"]] == [1, 1, 1]


def test_the_run_succeeds(flight: Flight) -> None:
    assert condition(flight.end, "Succeeded") == "True", flight.end.get("message")


def gone(scene: Scene, wanted: set[str]) -> set[str]:
    """Everything, once the traces of the installation are these; what is deleted in the background takes a moment."""
    deadline = time.monotonic() + 30
    while traces(found := everything(scene)) != wanted:
        assert time.monotonic() < deadline, sorted(traces(found) ^ wanted)
    return found


def test_uninstall_leaves_the_definition_and_the_runs(scene: Scene, namespace: str, flight: Flight) -> None:
    """And the namespace, which Helm made without counting it as its own."""
    before = everything(scene)
    run = scene.place.kubectl.get("trainingrun", RUN, namespace=namespace)
    install.helm(scene.place, "uninstall", install.RELEASE, "--wait")
    after = gone(scene, {*KEPT, f"Namespace//{SYSTEM}"})
    assert {each for each in before - after - traces(before) if f"/{namespace}/" in each} == set()
    assert scene.place.kubectl.get("trainingrun", RUN, namespace=namespace) == run


def overlay(scene: Scene, folder: Path) -> Path:
    """The one that docs/operations.md shows, with the images of the tests."""
    page = (REPOSITORY / "docs" / "operations.md").read_text()
    (text,) = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "kind: Kustomization" in block]
    for name, reference in scene.images.items():
        image, _, tag = reference.rpartition(":")
        text = text.replace(f"registry.example.com/trainingrun/{name}:0.1.0", reference)
        text = text.replace(
            f"newName: registry.example.com/trainingrun/{name}, newTag: 0.1.0", f"newName: {image}, newTag: {tag}"
        )
    assert "example.com" not in text
    body = yaml.safe_load(text)
    body["resources"] = [os.path.relpath(REPOSITORY / "manifests", folder.resolve())]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(body))
    return folder


def test_kustomize_installs_over_it_and_serves_the_kept_run(
    scene: Scene, namespace: str, flight: Flight, tmp_path: Path
) -> None:
    kubectl = scene.place.kubectl
    kubectl("apply", "--server-side", "-k", str(overlay(scene, tmp_path)))
    rollout = ("rollout", "status", "deployment/trainingrun-operator", "-n", SYSTEM, "--timeout=120s")
    kubectl(*rollout, timeout=130)
    patch = '{"spec":{"ttlSecondsAfterFinished":1}}'
    kubectl("patch", "trainingrun", RUN, "-n", namespace, "--type=merge", "-p", patch)
    kubectl("wait", "trainingrun", RUN, "-n", namespace, "--for=delete", "--timeout=60s", timeout=70)
    manifests = REPOSITORY / "manifests"
    kubectl("delete", "-f", str(manifests / "operator"), "-f", str(manifests / "rbac"), timeout=120)
    gone(scene, KEPT)
