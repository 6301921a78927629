"""`kubectl apply -k manifests/` on a real API server, and back; test_rights.py tests the rights of the operator."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from trcluster import current

pytestmark = [
    pytest.mark.api,
    pytest.mark.skipif(current.wanted(), reason="would replace the operator of the cluster at hand"),
]

Kubectl = Callable[..., str]

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"


SYSTEM = "trainingrun-system"
UNINSTALL = re.compile(r"^kubectl (delete --filename manifests/.*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def installed(kubectl: Kubectl) -> str:
    """Output of kubectl. The last test uninstalls everything except CRD and namespace, which other tests use."""
    return kubectl("apply", "--server-side", "--force-conflicts", "--warnings-as-errors", "-k", str(MANIFESTS))


def test_every_object_is_accepted_without_a_warning(installed: str) -> None:
    """A pod template that violates Pod Security `restricted` would give a warning, which is an error here."""
    assert "deployment.apps/trainingrun-operator serverside-applied" in installed
    assert len(installed.splitlines()) == 18


def test_uninstalling_leaves_what_others_keep_in_the_namespace(installed: str, kubectl: Kubectl) -> None:
    """The documented command. Here no controller would finish the deletion of a namespace; it would only begin."""
    kubectl("create", "configmap", "of-others", "-n", SYSTEM)
    (command,) = UNINSTALL.findall((MANIFESTS.parent / "docs" / "operations.md").read_text())
    arguments = command.replace("manifests/", f"{MANIFESTS}/").split()
    deleted = kubectl(*arguments, "--wait=false")
    assert f'deployment.apps "trainingrun-operator" deleted from {SYSTEM} namespace' in deleted
    namespace = json.loads(kubectl("get", "namespace", SYSTEM, "-o", "json"))
    assert (namespace["status"]["phase"], "deletionTimestamp" in namespace["metadata"]) == ("Active", False)
    kubectl("delete", "configmap", "of-others", "-n", SYSTEM)  # it is still there
    label = "--selector=app.kubernetes.io/instance=trainingrun-operator"
    left = kubectl("get", "all,leases,roles,rolebindings,serviceaccounts", "-n", SYSTEM, label, "-o", "name")
    left += kubectl("get", "clusterroles,clusterrolebindings,priorityclasses", label, "-o", "name")
    assert left == ""
