"""Real admission policies and a real webhook refuse objects of runs: the run waits, shows their words, and goes on.

The operator and the API server are the real ones; no pod is ever made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from kubernetes import client

from trainingrun.api.settings import Policy
from trainingrun.kube.errors import NotFoundError, from_answer
from trcluster.command import CommandError
from trcluster.waiting import until
from trdemo.shell import Kubectl
from trfakes.harness import free_port
from trfakes.live_operator import LiveOperator
from trfakes.webhook import Webhook

pytestmark = pytest.mark.api
SPACE = "admission"
NAMESPACE = "trainingrun-api-tests"
SELECTOR = {"matchLabels": {"kubernetes.io/metadata.name": SPACE}}
SECONDS = 120  # on a busy machine; on an idle one nothing takes ten
WORDS = "needs the label cost-center"
Object = dict[str, Any]
Sample = Callable[..., Object]


@pytest.fixture(scope="module")
def space(user: Kubectl) -> Iterator[Kubectl]:
    """kubectl, and an operator that tries again soon."""
    user("apply", "-f", "-", stdin=user("create", "namespace", SPACE, "--dry-run=client", "-o", "yaml"))
    operator = LiveOperator(user.kubeconfig, agent_port=free_port())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainingrun.engine.workqueue.BASE_SECONDS", 0.2)
        patch.setattr("trainingrun.engine.workqueue.MAX_SECONDS", 0.5)
        operator.start(Policy())
        yield user
        operator.stop()


@pytest.fixture(scope="module")
def webhook(space: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webhook]:
    """A webhook that is asked about Jobs; it lets them pass until a test says otherwise."""
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
    with Webhook(tmp_path_factory.mktemp("webhook")) as webhook:
        hook = {
            "name": "jobs.guard.example.com",
            "clientConfig": webhook.client_config,
            "rules": [rule],
            "namespaceSelector": SELECTOR,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "failurePolicy": "Fail",
            "timeoutSeconds": 5,
        }
        body = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "guard"},
            "webhooks": [hook],
        }
        space.apply(body)
        webhook.status = {"message": "not yet"}
        until(lambda: refuses(space), what="the webhook to be asked", seconds=SECONDS)
        webhook.status = None
        yield webhook
        space("delete", "validatingwebhookconfiguration", "guard")


def refuses(kubectl: Kubectl) -> bool:
    """Whether a Job is refused in the namespace."""
    try:
        kubectl("create", "job", "probe", "--image=none", "-n", SPACE, "--dry-run=server")
    except CommandError:
        return True
    return False


@contextmanager
def policy(kubectl: Kubectl, group: str, version: str, resource: str, **validation: str) -> Iterator[None]:
    """A ValidatingAdmissionPolicy that refuses to create or change a resource in the namespace."""
    name = f"no-{resource.replace('/', '-')}"
    rule = {"apiGroups": [group], "apiVersions": [version], "operations": ["CREATE", "UPDATE"], "resources": [resource]}
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    checks = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "false", "message": WORDS, **validation}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": SELECTOR}}
    kubectl.apply({**kind, "kind": "ValidatingAdmissionPolicy", "spec": checks})
    kubectl.apply({**kind, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding})
    try:
        yield
    finally:
        kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name)


def create(kubectl: Kubectl, body: Object, name: str) -> None:
    body["metadata"] = {"name": name, "namespace": SPACE}
    kubectl("create", "-f", "-", stdin=json.dumps(body))


def condition(kubectl: Kubectl, name: str, kind: str) -> Object:
    status: Object = kubectl.get("trainingrun", name, namespace=SPACE).get("status", {})
    return next((c for c in status.get("conditions", []) if c["type"] == kind), {})


def until_shown(kubectl: Kubectl, name: str, kind: str, *words: str) -> None:
    """Wait until a condition says that an object is refused, in these words."""

    def shown() -> bool:
        found = condition(kubectl, name, kind)
        return found.get("reason") == "CreationRefused" and all(word in found["message"] for word in words)

    what = f"{kind} of {name} to show the refusal"
    until(shown, what=what, seconds=SECONDS, seen=lambda: condition(kubectl, name, kind))


def until_job(kubectl: Kubectl, name: str) -> None:
    until(
        lambda: kubectl.get("job", f"{name}-prep-1", namespace=SPACE),
        what=f"the first Job of {name}",
        seconds=SECONDS,
        not_yet=(CommandError,),
    )


@pytest.mark.parametrize("validation", [{}, {"reason": "Forbidden"}, {"reason": "RequestEntityTooLarge"}], ids=str)
def test_a_policy_against_jobs_is_waited_out(space: Kubectl, sample: Sample, validation: Mapping[str, str]) -> None:
    name = f"policy-{validation.get('reason', 'bare').lower()}"
    with policy(space, "batch", "v1", "jobs", **validation):
        until(lambda: refuses(space), what="the policy to hold", seconds=SECONDS)
        create(space, sample("minimal"), name)
        until_shown(space, name, "Prepared", "ValidatingAdmissionPolicy 'no-jobs'", WORDS)
        assert condition(space, name, "Accepted")["status"] == "True"
    until_job(space, name)


def test_a_policy_against_config_maps_is_waited_out(space: Kubectl, sample: Sample) -> None:
    with policy(space, "", "v1", "configmaps"):
        until(lambda: refused(space), what="the policy to hold", seconds=SECONDS)
        create(space, sample("minimal"), "document")
        until_shown(space, "document", "Accepted", WORDS)
    until_job(space, "document")


def refused(kubectl: Kubectl) -> bool:
    try:
        kubectl("create", "configmap", "probe", "-n", SPACE, "--dry-run=server")
    except CommandError:
        return True
    return False


def test_a_policy_against_the_status_is_told_in_an_event_and_nothing_is_started(space: Kubectl, sample: Sample) -> None:
    with policy(space, "trainingrun.dev", "v1alpha1", "trainingruns/status"):
        create(space, sample("minimal"), "canary")
        probe = ("patch", "trainingrun", "canary", "-n", SPACE, "--subresource=status", "--type=merge", "-p", "{}")

        def holds() -> bool:
            try:
                space(*probe, "--dry-run=server")
            except CommandError:
                return True
            return False

        until(holds, what="the policy to hold", seconds=SECONDS)
        create(space, sample("minimal"), "silent")
        until(lambda: WORDS in events(space, "silent"), what="the Event", seconds=SECONDS)
        assert "status" not in space.get("trainingrun", "silent", namespace=SPACE)
    until(lambda: condition(space, "silent", "Accepted"), what="the status", seconds=SECONDS)


def events(kubectl: Kubectl, name: str) -> str:
    about = f"involvedObject.name={name},reason=StatusRefused"
    return kubectl("get", "events", "-n", SPACE, "--field-selector", about, "-o", "jsonpath={.items[*].message}")


DENIALS: Mapping[str, Mapping[str, Any]] = {
    "without a code": {"message": WORDS},
    "without a word": {},
    "404": {"code": 404, "reason": "NotFound", "message": WORDS},
    "409": {"code": 409, "reason": "AlreadyExists", "message": WORDS},
    "422 with a field": {
        "code": 422,
        "reason": "Invalid",
        "message": WORDS,
        "details": {"causes": [{"field": "spec.template.spec.containers[0].image", "message": WORDS}]},
    },
    "429": {"code": 429, "reason": "TooManyRequests", "message": WORDS},
}


@pytest.mark.parametrize("denial", DENIALS.values(), ids=DENIALS)
def test_a_webhook_that_denies_is_waited_out(
    space: Kubectl, sample: Sample, webhook: Webhook, denial: Mapping[str, Any]
) -> None:
    name = f"webhook-{list(DENIALS.values()).index(denial)}"
    webhook.status = denial
    create(space, sample("minimal"), name)
    until_shown(space, name, "Prepared", 'admission webhook "jobs.guard.example.com" denied', denial.get("message", ""))
    webhook.status = None
    until_job(space, name)


def test_a_job_that_the_api_server_calls_invalid_ends_the_run(space: Kubectl, sample: Sample) -> None:
    create(space, sample("minimal", {"spec.prep.pod.nodeSelector": {"no label": "x"}}), "wrong")

    def ended() -> bool:
        return bool(condition(space, "wrong", "Succeeded").get("reason") == "ChildRefused")

    until(
        ended, what="the run to fail", seconds=SECONDS, seen=lambda: space.get("trainingrun", "wrong", namespace=SPACE)
    )
    assert "nodeSelector" in condition(space, "wrong", "Succeeded")["message"]


def test_the_api_server_names_the_run_that_it_does_not_have(runs: client.CustomObjectsApi) -> None:
    """Only this answer forgets a run: a missing path or a webhook's 404 does not."""
    where = {"group": "trainingrun.dev", "version": "v1alpha1", "plural": "trainingruns", "namespace": NAMESPACE}
    with pytest.raises(client.ApiException) as answered:
        runs.patch_namespaced_custom_object_status(**where, name="nobody", body={"status": {}}, _request_timeout=10)
    error = from_answer("PATCH", answered.value.status, str(answered.value.body).encode())
    assert isinstance(error, NotFoundError)
    assert (error.kind, error.name) == ("trainingruns", "nobody")
