"""`kubectl apply -k manifests/` on a real API server; test_rights.py tests the rights of the operator's account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trcluster import current

pytestmark = [
    pytest.mark.api,
    pytest.mark.skipif(current.wanted(), reason="would replace the operator of the cluster at hand"),
]

Kubectl = Callable[..., str]

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"


@pytest.fixture(scope="module")
def installed(kubectl: Kubectl) -> Iterator[str]:
    """Output of kubectl. CRD and namespace stay: other tests use them, and no controller deletes a namespace here."""
    yield kubectl("apply", "--server-side", "--force-conflicts", "--warnings-as-errors", "-k", str(MANIFESTS))
    label = "--selector=app.kubernetes.io/instance=trainingrun-operator"
    kinds = "deployments,services,leases,roles,rolebindings,serviceaccounts"
    for namespace in ("trainingrun-system", "kube-system"):
        kubectl("delete", kinds, "-n", namespace, label)
    kubectl("delete", "clusterroles,clusterrolebindings", label)


def test_every_object_is_accepted_without_a_warning(installed: str) -> None:
    """A pod template that violates Pod Security `restricted` would give a warning, which is an error here."""
    assert "deployment.apps/trainingrun-operator serverside-applied" in installed
    assert len(installed.splitlines()) == 15
