"""A rule that a new version of the CRD adds does not lock objects that were stored before it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from trcluster.command import CommandError
from trcluster.waiting import until
from trdemo.shell import Kubectl
from trfakes.schema import CRD

pytestmark = pytest.mark.api
GROUP = "before.trainingrun.dev"  # a CRD of its own: other tests use the real one at the same time
# With names of its own: kubectl remembers them for minutes, and `trainingrun` would then mean this one.
NAMES = {"kind": "OlderRun", "listKind": "OlderRunList", "plural": "olderruns", "singular": "olderrun"}
RESOURCE = f"{NAMES['plural']}.{GROUP}"
NAMESPACE = "trainingrun-api-tests"
SECONDS = 120  # on a busy machine
TRAIN, EVAL = "spec.dataset.train.uri", "spec.dataset.eval.uri"
OLD_NAMES = ["tire\x9b", "\u202ehub"]


def crd(*, rules: bool) -> dict[str, Any]:
    """The CRD in another group, with or without the rules of class names, addresses and the whole data set."""
    made: dict[str, Any] = yaml.safe_load(Path(CRD).read_text())
    made["metadata"]["name"] = RESOURCE
    made["spec"]["group"] = GROUP
    made["spec"]["names"] = NAMES
    schema = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    dataset = schema["dataset"]["properties"]
    if not rules:
        for place in (schema["dataset"], dataset["classes"]["items"], dataset["train"]["properties"]["uri"]):
            del place["x-kubernetes-validations"]
    return made


def refused(kubectl: Kubectl, body: dict[str, Any]) -> bool:
    try:
        kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body))
    except CommandError as error:
        return "control characters" in str(error) and "dataset.eval has the images" in str(error)
    return False


def test_a_run_stored_before_a_rule_can_still_be_changed(
    kubectl: Kubectl, sample: Callable[..., dict[str, Any]]
) -> None:
    body = sample("minimal", {"spec.dataset.classes": OLD_NAMES, TRAIN: "tire\x9b/", EVAL: "tire\x9b/"})
    body |= {"apiVersion": f"{GROUP}/v1alpha1", "kind": NAMES["kind"]}
    body["metadata"] = {"name": "old", "namespace": NAMESPACE}
    try:
        kubectl.apply(crd(rules=False))
        kubectl.wait("--for=condition=Established", f"crd/{RESOURCE}", seconds=SECONDS)
        until(
            lambda: kubectl("create", "-f", "-", stdin=json.dumps(body)),
            what="the old run",
            seconds=SECONDS,
            not_yet=(CommandError,),
        )
        kubectl.apply(crd(rules=True))
        new = copy.deepcopy(body)
        new["metadata"]["name"] = "new"
        until(lambda: refused(kubectl, new), what="the new rules", seconds=SECONDS)
        patch = json.dumps({"status": {"message": "Prepared."}})
        kubectl("patch", RESOURCE, "old", "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", patch)
        kubectl("patch", RESOURCE, "old", "-n", NAMESPACE, "--type=merge", "-p", '{"spec":{"suspend":true}}')
        found = kubectl.get(RESOURCE, "old", namespace=NAMESPACE)
        assert (found["status"]["message"], found["spec"]["suspend"]) == ("Prepared.", True)
    finally:
        kubectl("delete", "crd", RESOURCE, "--wait=false")
