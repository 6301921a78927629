"""What a tenant writes about a run does not reach the terminal of whoever looks at it with kubectl."""

from __future__ import annotations

import json

import pytest

from trdemo.shell import Kubectl
from trfakes.fake_cluster import verdict
from trfakes.hostile import BROKEN, DANGEROUS, HOSTILE, MARK
from trfakes.manual_node import SUFFIX
from trfakes.situations import NAMESPACE, Environment

pytestmark = pytest.mark.api
NAME = "spoken-of"
LOOKS = (
    ("describe", "trainingrun"),
    ("get", "trainingrun", "--output=wide"),
    ("get", "trainingrun", "--output=jsonpath={.status}"),
    ("get", "trainingrun", '--output=jsonpath={range .status.conditions[*]}{.message}{"\\n"}{end}'),
)
EVENTS = ("events", f"--for=trainingrun/{NAME}", "--namespace", NAMESPACE, "--output=jsonpath={.items[*].message}")
# kubectl itself writes ESC as ^[ in some of its outputs, and leaves everything else to the terminal.


def shown(kubectl: Kubectl) -> dict[str, str]:
    """What kubectl prints of a run, by command."""
    return {" ".join(look): kubectl(*look, NAME, "--namespace", NAMESPACE) for look in LOOKS}


def test_kubectl_prints_nothing_that_drives_a_terminal(environment: Environment) -> None:
    kubectl, node = environment.kubectl, environment.node
    environment.apply(NAME)
    pod = node.make_pod(f"{NAME}-prep-1")
    node.warn(pod, reason="FailedMount", message=HOSTILE, component="tenant")
    environment.until(NAME, lambda status: MARK in status.get("message", ""))
    waiting = shown(kubectl)

    state = {"waiting": {"reason": "ErrImagePull", "message": HOSTILE}}
    entry = {"name": "agent", "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    patch = json.dumps({"status": {"containerStatuses": [entry]}})
    name = f"{NAME}-prep-1-{SUFFIX}"
    kubectl("patch", "pod", name, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", patch)
    environment.until_reason(NAME, "ImagePullFailed")
    pulling = shown(kubectl)

    claim = verdict("prep", "userError", message=BROKEN, hint=BROKEN, numbers={"topFindings": [BROKEN]})
    node.report(f"{NAME}-prep-1", verdict=claim)
    environment.until_reason(NAME, "Failed")
    environment.until(NAME, lambda _: kubectl(*EVENTS).count(MARK) >= 2)  # of the pull and of the end
    failed = {**shown(kubectl), "events": kubectl(*EVENTS)}

    for prints in (waiting, pulling, failed):
        assert [look for look, text in prints.items() if MARK not in text] == []
        assert [look for look, text in prints.items() if DANGEROUS.search(text.replace("\n", ""))] == []
