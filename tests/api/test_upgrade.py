"""Objects that an earlier version stored are kept by today's CustomResourceDefinition, and can be changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trdemo.shell import Kubectl
from trfakes.recording import NAMESPACE, RECORDINGS, Recording

pytestmark = pytest.mark.api
CRD = Path(__file__).resolve().parents[2] / "manifests" / "crd" / "trainingruns.trainingrun.dev.yaml"
Body = dict[str, Any]


@pytest.fixture(scope="module", params=RECORDINGS, ids=[recording.folder.name for recording in RECORDINGS])
def upgraded(request: pytest.FixtureRequest, kubectl: Kubectl) -> Iterator[dict[str, tuple[Body, Body]]]:
    """Each recorded run by its name: as it was stored under its own CRD, and as it is served under today's."""
    recording: Recording = request.param
    install(kubectl, recording.crd)
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    before: dict[str, Body] = {}
    for body in recording.objects()["trainingruns"]:
        meta = {key: body["metadata"][key] for key in ("name", "namespace")}
        kubectl("create", "--validate=strict", "-f", "-", stdin=json.dumps({**body, "metadata": meta}))
        patch(kubectl, meta["name"], {"status": body.get("status", {})}, "--subresource=status")
        before[meta["name"]] = kubectl.get("trainingrun", meta["name"], namespace=NAMESPACE)
    install(kubectl, CRD)
    yield {name: (body, kubectl.get("trainingrun", name, namespace=NAMESPACE)) for name, body in before.items()}
    # The namespace stays for the next recording: without its controller, a deleted one never goes away.
    kubectl("delete", "trainingruns", "--all", "-n", NAMESPACE)


def install(kubectl: Kubectl, crd: Path) -> None:
    """Install a CRD and wait until the API server validates with it."""
    kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(crd))
    kubectl.wait("--for=condition=Established", "--filename", str(crd), seconds=120)


def patch(kubectl: Kubectl, name: str, body: Body, *options: str) -> Body:
    """Patch a recorded run; raises CommandError when the API server refuses it."""
    where = ("patch", "trainingrun", name, "-n", NAMESPACE, "--type=merge", "-p", json.dumps(body))
    answer: Body = json.loads(kubectl(*where, *options, "-o", "json"))
    return answer


def holds(after: Any, before: Any) -> bool:
    """Whether everything is as it was; a new field may have a default."""
    if isinstance(before, dict) and isinstance(after, dict):
        return all(name in after and holds(after[name], value) for name, value in before.items())
    return bool(after == before)


def test_no_field_of_a_stored_run_is_lost(upgraded: dict[str, tuple[Body, Body]]) -> None:
    for name, (before, after) in upgraded.items():
        assert holds(after["spec"], before["spec"]), name
        assert after.get("status") == before.get("status"), name


@pytest.mark.parametrize(
    "change",
    [{"suspend": True}, {"retry": 5}, {"tensorboard": {"enabled": False}}, {"ttlSecondsAfterFinished": 900}],
    ids=str,
)
def test_what_may_change_changes_on_every_stored_run(
    upgraded: dict[str, tuple[Body, Body]], kubectl: Kubectl, change: Body
) -> None:
    for name in upgraded:
        changed = patch(kubectl, name, {"spec": change}, "--dry-run=server")
        assert all(changed["spec"][key] == value for key, value in change.items() if key != "tensorboard"), name


def test_the_status_of_every_stored_run_can_be_written(
    upgraded: dict[str, tuple[Body, Body]], kubectl: Kubectl
) -> None:
    for name, (_, after) in upgraded.items():
        changed = patch(kubectl, name, {"status": {**after.get("status", {}), "message": "x"}}, "--subresource=status")
        assert changed["status"]["message"] == "x"


def test_labels_of_every_stored_run_can_be_changed(upgraded: dict[str, tuple[Body, Body]], kubectl: Kubectl) -> None:
    """A rule that a stored object no longer meets would refuse every change of it, also of its metadata."""
    for name in upgraded:
        assert patch(kubectl, name, {"metadata": {"labels": {"a": "b"}}}, "--dry-run=server")
