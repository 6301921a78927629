"""What a tenant writes about a run does not reach the terminal of whoever looks at it with kubectl."""

from __future__ import annotations

import json

import pytest

from trdemo.shell import Kubectl
from trfakes.fake_cluster import verdict
from trfakes.hostile import DANGEROUS, HOSTILE, MARK
from trfakes.manual_node import SUFFIX
from trfakes.situations import NAMESPACE, Environment

pytestmark = pytest.mark.api
LOOKS = (
    ("describe", "trainingrun"),
    ("get", "trainingrun", "--output=wide"),
    ("get", "trainingrun", "--output=jsonpath={.status}"),
    ("get", "trainingrun", '--output=jsonpath={range .status.conditions[*]}{.message}{"\\n"}{end}'),
    ("events", "--for=trainingrun/{name}", "--output=jsonpath={.items[*].message}"),
)
# kubectl itself writes ESC as ^[ in some of its outputs, and leaves everything else to the terminal.
TEXT = HOSTILE.encode(errors="replace").decode()


def shown(kubectl: Kubectl, name: str) -> dict[str, str]:
    """What kubectl prints of a run and of the Events about it, by command."""
    prints = {}
    for look in LOOKS:
        words = [word.format(name=name) if "--for" in word else word for word in look]
        target = [] if look[0] == "events" else [name]
        prints[" ".join(words)] = kubectl(*words, *target, "--namespace", NAMESPACE)
    return prints


def test_kubectl_prints_nothing_that_drives_a_terminal(environment: Environment) -> None:
    kubectl, node = environment.kubectl, environment.node
    environment.apply("spoken-of")
    pod = node.make_pod("spoken-of-prep-1")
    node.warn(pod, reason="FailedMount", message=TEXT, component="tenant")
    environment.until("spoken-of", lambda status: MARK in status.get("message", ""))
    waiting = shown(kubectl, "spoken-of")

    state = {"waiting": {"reason": "ErrImagePull", "message": TEXT}}
    entry = {"name": "agent", "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    patch = json.dumps({"status": {"containerStatuses": [entry]}})
    name = f"spoken-of-prep-1-{SUFFIX}"
    kubectl("patch", "pod", name, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", patch)
    environment.until_reason("spoken-of", "ImagePullFailed")
    pulling = shown(kubectl, "spoken-of")

    claim = verdict("prep", "userError", message=HOSTILE, hint=HOSTILE, numbers={"topFindings": [HOSTILE]})
    node.report("spoken-of-prep-1", verdict=claim)
    environment.until_reason("spoken-of", "Failed")
    environment.until("spoken-of", lambda _: "UserError" in shown(kubectl, "spoken-of")["describe trainingrun"])
    failed = shown(kubectl, "spoken-of")

    for prints in (waiting, pulling, failed):
        assert [look for look, text in prints.items() if MARK not in text] == []
        assert [look for look, text in prints.items() if DANGEROUS.search(text.replace("\n", ""))] == []
