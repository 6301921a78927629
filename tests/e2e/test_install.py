"""Upgrade, roll back, uninstall and kustomize the operator while a run trains.

This module uninstalls the operator that all modules share, so it comes last (conftest.py).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from trcluster import current
from trcluster.waiting import until
from trdemo import install
from trdemo.follow import condition
from trdemo.installation import Installation, tire_run
from trimages.paths import REPOSITORY

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(current.wanted(), reason="would uninstall the operator of your own cluster"),
]

RUN, SYSTEM = "flight", install.SYSTEM_NAMESPACE
STEPS = 400
KEPT = {"CustomResourceDefinition//trainingruns.trainingrun.dev", "APIService//v1alpha1.trainingrun.dev"}
IN_EVERY_NAMESPACE = {f"ConfigMap/{SYSTEM}/kube-root-ca.crt", f"ServiceAccount/{SYSTEM}/default"}


def operator(installation: Installation) -> dict[str, Any]:
    """The operator's only pod that is not being deleted."""
    pods = installation.target.kubectl.get("pods", namespace=SYSTEM)["items"]
    (pod,) = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return dict(pod)


def log_level(pod: dict[str, Any]) -> str:
    return str(next(e["value"] for e in pod["spec"]["containers"][0]["env"] if e["name"] == "TRAININGRUN_LOG_LEVEL"))


def in_flight(installation: Installation, namespace: str) -> dict[str, str]:
    """UIDs of the training Job and pod; the keys show the restart counts of their containers."""
    found = installation.target.kubectl.get("jobs,pods", namespace=namespace, selector="trainingrun.dev/stage=train")[
        "items"
    ]
    counts = [[c["restartCount"] for c in each["status"].get("containerStatuses", ())] for each in found]
    return {f"{each['kind']} {count}": each["metadata"]["uid"] for each, count in zip(found, counts, strict=True)}


def everything(installation: Installation) -> set[str]:
    """List all objects of the cluster except Events, as kind/namespace/name."""
    kubectl = installation.target.kubectl
    kinds = kubectl("api-resources", "--verbs=list", "-o", "name").split()
    asked = ",".join(kind for kind in kinds if not kind.startswith(("events", "componentstatuses")))
    columns = "custom-columns=K:.kind,S:.metadata.namespace,N:.metadata.name"
    lines = kubectl("get", asked, "-A", "--no-headers", "--ignore-not-found", "-o", columns).splitlines()
    return {"/".join(line.split()).replace("<none>", "") for line in lines}


def traces(objects: set[str]) -> set[str]:
    """Objects that belong to an installation: all in its namespace, and those named after it."""
    # Users make Secrets and ServiceAccounts of such names for their runs.
    named = re.compile(rf"(?!(?:Secret|ServiceAccount)/).*/[^/]*trainingrun[^/]*|[^/]*/{SYSTEM}/.*")
    return {each for each in objects if named.fullmatch(each)} - IN_EVERY_NAMESPACE


@dataclass
class Flight:
    """Observations of a run during changes of the installation."""

    pods: list[dict[str, Any]] = field(default_factory=list)  # of the operator: installed, upgraded, rolled back
    children: list[dict[str, str]] = field(default_factory=list)  # at the same moments
    steps: list[int] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)


def fly(installation: Installation, namespace: str, name: str, *changes: Callable[[], object]) -> Flight:
    """Start a run and change the installation while it trains, observing both after each change."""
    flight = Flight()

    def look_after(step: int) -> None:
        def seen(status: dict[str, Any]) -> bool:
            return bool(status.get("training", {}).get("step", 0) > step)

        status = installation.until(name, seen, namespace=namespace, seconds=180, what=f"a step after {step}")
        flight.pods.append(operator(installation))
        flight.children.append(in_flight(installation, namespace))
        flight.steps.append(status["training"]["step"])

    # Enough steps to go on training while the operator is replaced twice.
    train = {"steps": STEPS, "saveEverySteps": STEPS, "evalEverySteps": STEPS}
    installation.apply(tire_run(name, train=train), namespace=namespace)
    look_after(0)
    for change in changes:
        change()
        look_after(flight.steps[-1])
    return flight


@pytest.fixture(scope="module")
def flight(installation: Installation, namespace: str) -> Flight:
    """A run during which the operator is upgraded and rolled back."""
    chart = (install.RELEASE, str(install.CHART), "--reuse-values", "--wait", "--set", "log.level=DEBUG")
    upgraded = fly(
        installation,
        namespace,
        RUN,
        lambda: install.helm(installation.target, "upgrade", *chart),
        lambda: install.helm(installation.target, "rollback", install.RELEASE, "--wait"),
    )
    upgraded.end = installation.finished(RUN, namespace=namespace, seconds=300)
    return upgraded


def test_an_upgrade_and_a_rollback_really_replace_the_operator(flight: Flight) -> None:
    assert [log_level(pod) for pod in flight.pods] == ["INFO", "DEBUG", "INFO"]
    assert len({pod["metadata"]["uid"] for pod in flight.pods}) == 3


def not_touched(flight: Flight) -> bool:
    """Whether the same Job and pod trained all the time, without a restart."""
    first = flight.children[0]
    return set(first) == {"Job []", "Pod [0, 0]"} and flight.children == [first] * 3


def test_the_run_in_flight_is_not_touched(flight: Flight) -> None:
    assert not_touched(flight), flight.children
    assert [attempt["number"] for attempt in flight.end["attempts"]] == [1, 1, 1]


def test_the_run_succeeds(flight: Flight) -> None:
    assert condition(flight.end, "Succeeded") == "True", flight.end.get("message")


def wait_until_left(installation: Installation, wanted: set[str]) -> set[str]:
    """Wait until exactly these objects of the installation are left; returns all objects of the cluster."""
    found: set[str] = set()

    def left() -> bool:
        nonlocal found
        found = everything(installation)
        return traces(found) == wanted

    until(left, what="the installation to go", seconds=90, seen=lambda: sorted(traces(found) ^ wanted))
    return found


def test_uninstall_leaves_the_definition_and_the_runs(
    installation: Installation, namespace: str, flight: Flight
) -> None:
    """The namespace stays too: Helm created it, but not as a part of the release."""
    ended = ("pods", "-n", namespace, "-l", "trainingrun.dev/stage", "--for=delete")
    installation.target.kubectl.wait(*ended, seconds=120)
    before = everything(installation)
    run = installation.target.kubectl.get("trainingrun", RUN, namespace=namespace)
    install.helm(installation.target, "uninstall", install.RELEASE, "--wait")
    after = wait_until_left(installation, {*KEPT, f"Namespace//{SYSTEM}"})
    assert {each for each in before - after - traces(before) if f"/{namespace}/" in each} == set()
    assert installation.target.kubectl.get("trainingrun", RUN, namespace=namespace) == run


def overlay(installation: Installation, folder: Path, **more: Any) -> Path:
    """Write the overlay that docs/operations.md shows, with the images of this test and additional fields."""
    page = (REPOSITORY / "docs" / "operations.md").read_text()
    (text,) = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "kind: Kustomization" in block]
    for name, reference in installation.images.items():
        image, _, tag = reference.rpartition(":")
        text = text.replace(f"registry.example.com/trainingrun/{name}:0.1.0", reference)
        text = text.replace(
            f"newName: registry.example.com/trainingrun/{name}, newTag: 0.1.0", f"newName: {image}, newTag: {tag}"
        )
    assert "example.com" not in text
    body = {**yaml.safe_load(text), **more}
    body["resources"] = [os.path.relpath(REPOSITORY / "manifests", folder.resolve())]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(body))
    return folder


def apply(installation: Installation, folder: Path) -> None:
    """Apply an overlay and wait until its operator has replaced the old one."""
    installation.target.kubectl("apply", "--server-side", "-k", str(folder))
    rollout = ("rollout", "status", "deployment/trainingrun-operator", "-n", SYSTEM, "--timeout=240s")
    installation.target.kubectl(*rollout, timeout=250)


def test_kustomize_installs_over_what_is_kept_and_over_itself(
    installation: Installation, namespace: str, flight: Flight, tmp_path: Path
) -> None:
    kubectl = installation.target.kubectl
    apply(installation, overlay(installation, tmp_path))
    patch = '{"spec":{"ttlSecondsAfterFinished":1}}'
    kubectl("patch", "trainingrun", RUN, "-n", namespace, "--type=merge", "-p", patch)
    kubectl.wait("trainingrun", RUN, "-n", namespace, "--for=delete", seconds=120)
    second = fly(
        installation,
        namespace,
        "second",
        lambda: apply(installation, overlay(installation, tmp_path, commonAnnotations={"example.com/note": "changed"})),
        lambda: apply(installation, overlay(installation, tmp_path)),
    )
    assert len({pod["metadata"]["uid"] for pod in second.pods}) == 3
    assert not_touched(second), second.children
    kubectl("delete", "trainingrun", "second", "-n", namespace)
    manifests = REPOSITORY / "manifests"
    kubectl("delete", "-f", str(manifests / "operator"), "-f", str(manifests / "rbac"), timeout=120)
    wait_until_left(installation, {*KEPT, f"Namespace//{SYSTEM}"})
