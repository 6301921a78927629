"""`kubectl apply -k manifests/` on a real API server, and what the operator's account may do after it."""

from __future__ import annotations

import subprocess
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
ACCOUNT = "system:serviceaccount:trainingrun-system:trainingrun-operator"


@pytest.fixture(scope="module")
def installed(kubectl: Kubectl) -> Iterator[str]:
    """What kubectl said; the CRD stays, since other tests use it."""
    yield kubectl("apply", "--server-side", "--force-conflicts", "--warnings-as-errors", "-k", str(MANIFESTS))
    for folder in ("operator", "rbac"):
        kubectl("delete", "--wait=false", "--filename", str(MANIFESTS / folder))


def test_every_object_is_accepted_without_a_warning(installed: str) -> None:
    """A pod that breaks the restricted standard of its namespace would be a warning, and so an error here."""
    assert "deployment.apps/trainingrun-operator serverside-applied" in installed
    assert len(installed.splitlines()) == 12


@pytest.mark.parametrize(
    ("verb", "resource", "namespace", "allowed"),
    [
        ("list", "trainingruns", "default", True),
        ("patch", "trainingruns/status", "default", True),
        ("create", "jobs", "default", True),
        ("get", "pods/log", "default", True),
        ("create", "leases", "trainingrun-system", True),
        ("create", "leases", "default", False),
        ("get", "secrets", "default", False),
        ("list", "secrets", "trainingrun-system", False),
        ("patch", "trainingruns", "default", False),
        ("create", "pods", "default", False),
        ("delete", "pods", "default", False),
        ("create", "pods/exec", "default", False),
        ("list", "configmaps", "default", False),
        ("create", "serviceaccounts/token", "default", False),
        ("get", "nodes", "default", False),
    ],
)
def test_operator_may_do_what_it_needs_only(
    verb: str, resource: str, namespace: str, allowed: bool, installed: str, kubectl: Kubectl
) -> None:
    """Asked of the API server, as an administrator would."""
    assert installed
    kind, _, part = resource.partition("/")
    question = ("auth", "can-i", verb, kind, f"--subresource={part}", "--namespace", namespace, "--as", ACCOUNT)
    try:
        answer = kubectl(*question)
    except subprocess.CalledProcessError as refused:  # "no" is exit code 1
        answer = refused.stdout
    assert answer.strip() == ("yes" if allowed else "no")
