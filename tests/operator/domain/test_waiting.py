"""Messages about the causes that keep a pod from running."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun.api import clock
from trainingrun.api.names import Stage
from trainingrun.domain.draft import MAX_CAUSE, MAX_MESSAGE
from trainingrun.domain.observe import PodView
from trainingrun.domain.waiting import cause_of
from trfakes.builders import START, a_job, a_pod, after, running, terminated, waiting

PLACED = clock.to_text(START)
QUOTA = 'FailedCreate: Error creating: pods "tire-prep-1-x" is forbidden: exceeded quota: team, requested: cpu=1'
MUST_SPECIFY = 'FailedCreate: Error creating: pods "tire-x" is forbidden: failed quota: team: must specify {}'
NO_ACCOUNT = (
    'FailedCreate: Error creating: pods "tire-prep-1-" is forbidden: error looking up service account '
    'vision/trainingrun-s3: serviceaccount "trainingrun-s3" not found'
)
NO_TOKEN = (
    'FailedMount: MountVolume.SetUp failed for volume "credentials" : failed to fetch token: serviceaccounts '
    '"trainingrun-s3" not found'
)
MOUNT = 'FailedMount: MountVolume.SetUp failed for volume "credentials" : secret "trainingrun-s3" not found'


@pytest.mark.parametrize(
    ("pod", "seconds", "hint", "reason", "part"),
    [
        pytest.param(None, 1, "", "PodPending", "was created", id="just created"),
        pytest.param(None, 6, "", "PodPending", "has no pod yet", id="no pod"),
        pytest.param(None, 6, QUOTA, "QuotaExceeded", "exceeded quota: team", id="quota"),
        pytest.param(None, 6, "FailedCreate: denied by webhook", "PodRefused", "denied by webhook", id="admission"),
        pytest.param(
            None,
            6,
            NO_ACCOUNT,
            "ServiceAccountMissing",
            'gets no pod: error looking up service account vision/trainingrun-s3: serviceaccount "trainingrun-s3" not '
            "found. Create the ServiceAccount in the run's namespace: kubectl create serviceaccount trainingrun-s3.",
            id="service account",
        ),
        pytest.param(
            None,
            6,
            NO_ACCOUNT.replace("trainingrun-s3", "default"),
            "PodRefused",
            'serviceaccount "default" not found',
            id="service account of a namespace that has just been created",
        ),
        pytest.param(
            a_pod(scheduled_at=PLACED),
            6,
            NO_TOKEN,
            "ServiceAccountMissing",
            "kubectl create serviceaccount trainingrun-s3.",
            id="service account deleted after its pod was created",
        ),
        pytest.param(a_pod(), 6, "", "PodPending", "waits for the scheduler", id="not scheduled yet"),
        pytest.param(
            a_pod(unschedulable="0/1 nodes are available: 1 Insufficient nvidia.com/gpu."),
            6,
            "",
            "PodUnschedulable",
            "1 Insufficient nvidia.com/gpu. Create a new TrainingRun with spec.train.gpus: 0",
            id="no GPU",
        ),
        pytest.param(
            a_pod(scheduled_at=PLACED, containers={"agent": waiting("ErrImagePull", "not found")}),
            6,
            "",
            "ImagePullFailed",
            "Container agent: ErrImagePull: not found. If the name is wrong, create a new TrainingRun",
            id="image",
        ),
        pytest.param(
            a_pod(
                scheduled_at=PLACED,
                containers={"agent": waiting("CreateContainerConfigError", 'secret "s" not found')},
            ),
            6,
            "",
            "SecretMissing",
            "Create the Secret in the run's namespace",
            id="secret in the environment",
        ),
        pytest.param(a_pod(scheduled_at=PLACED, node="n1"), 3, "", "ContainerCreating", "node n1", id="creating"),
        pytest.param(a_pod(scheduled_at=PLACED), 6, MOUNT, "SecretMissing", "Create the Secret", id="secret as a file"),
        pytest.param(
            a_pod(scheduled_at=PLACED),
            6,
            'FailedMount: configmap "ca" not found',
            "ConfigMapMissing",
            "Create the ConfigMap",
            id="CA bundle",
        ),
        pytest.param(
            a_pod(scheduled_at=PLACED, node="n1"),
            6,
            "FailedScheduling: 0/1 nodes are available",
            "ContainerCreating",
            "is being started on node n1",
            id="an old refusal of the scheduler",
        ),
        pytest.param(
            a_pod(scheduled_at=PLACED, init_name="mesh-init", init_container=running()),
            6,
            "",
            "InitContainer",
            "Init container mesh-init of pod tire-prep-1-x1 has not ended, or is not ready yet.",
            id="an init container that hangs",
        ),
        pytest.param(
            a_pod(scheduled_at=PLACED, init_name="mesh", init_container=terminated(exit_code=1, reason="Error")),
            6,
            "",
            "InitContainer",
            "ended with exit code 1 (Error)",
            id="an init container that fails",
        ),
        pytest.param(
            a_pod(scheduled_at=PLACED, init_name="mesh", init_container=waiting("CrashLoopBackOff", "back-off 10s")),
            6,
            "",
            "CrashLoopBackOff",
            "Init container mesh of pod tire-prep-1-x1: CrashLoopBackOff: back-off 10s.",
            id="an init container that crashes",
        ),
        pytest.param(
            a_pod(scheduled_at=PLACED, init_name="mesh", init_container=waiting("PodInitializing")),
            6,
            MOUNT,
            "SecretMissing",
            "Create the Secret",
            id="a secret, before an init container",
        ),
        pytest.param(
            a_pod(scheduled_at=PLACED, init_name="mesh", init_container=running()),
            1,
            "",
            "ContainerCreating",
            "is being started",
            id="an init container that has just begun",
        ),
    ],
)
def test_cause(pod: PodView | None, seconds: int, hint: str, reason: str, part: str) -> None:
    hints = {"job-prep-1": hint, "pod-prep-1": hint} if hint else {}
    cause = cause_of(a_job(), pod, hints=hints, now=after(seconds))
    assert cause.reason.name == reason
    assert part in cause.text(MAX_MESSAGE)


LIMIT_RANGE = "Ask your platform team for a LimitRange in the namespace"
HELM = ", or to set runs.agent.resources (limits.cpu) in the operator's Helm values"
NEW_RUN = "create a new TrainingRun with spec.{}.pod.resources"


@pytest.mark.parametrize(
    ("stage", "missing", "steps"),
    [
        pytest.param(
            Stage.PREP,
            "limits.cpu for: agent",
            f", or {NEW_RUN.format('prep')} (limits.cpu)",
            id="the stage's container",
        ),
        pytest.param(
            Stage.TRAIN,
            "limits.cpu for: agent,trainer; limits.memory for: trainer",
            f"{HELM}, and {NEW_RUN.format('train')} (limits.cpu, limits.memory)",
            id="both containers",
        ),
        pytest.param(Stage.EXPORT, "limits.cpu for: agent", HELM, id="the agent"),
        pytest.param(Stage.EXPORT, "limits.cpu for: istio-proxy", "", id="an injected container"),
    ],
)
def test_a_quota_on_a_resource_without_a_value_names_the_field_that_sets_it(
    stage: Stage, missing: str, steps: str
) -> None:
    job = a_job(stage)
    cause = cause_of(job, None, hints={job.uid: MUST_SPECIFY.format(missing)}, now=after(6))
    assert (cause.reason.name, cause.hint) == ("PodRefused", f"{LIMIT_RANGE}{steps}.")
    text = cause.text(MAX_CAUSE)
    assert text.startswith(f"Job {job.name} gets no pod: failed quota: team: must specify limits.cpu for: agent"[:80])
    assert text.endswith(f"{cause.hint} The pod then starts by itself.")


REFUSALS = {
    "label": (
        "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'cost-center' with binding 'all' denied request: no label",
        "ValidatingAdmissionPolicy 'cost-center': no label",
        "Create a new TrainingRun with what the rule asks for in spec.train.pod",
    ),
    "webhook": (
        'admission webhook "validate.kyverno.svc-fail" denied the request: require-labels: label team is required',
        'admission webhook "validate.kyverno.svc-fail" denied the request: require-labels: label team is required',
        "set it in runs of the operator's Helm values",
    ),
    "maximum of a LimitRange": (
        'pods "tire-x" is forbidden: maximum cpu usage per Container is 4, but limit is 5',
        "maximum cpu usage per Container is 4, but limit is 5",
        "with spec.train.pod.resources that fit the LimitRange",
    ),
    "default limit of a LimitRange": (
        'Pod "x" is invalid: resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        'resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        "with spec.train.pod.resources that fit the LimitRange",
    ),
    "priority": (
        'pods "tire-x" is forbidden: no PriorityClass with name urgent was found',
        "no PriorityClass with name urgent was found",
        "another spec.train.pod.priorityClassName",
    ),
}


@pytest.mark.parametrize(("refusal", "why", "step"), REFUSALS.values(), ids=REFUSALS)
def test_a_refused_pod_names_the_rule_and_what_satisfies_it(refusal: str, why: str, step: str) -> None:
    """Also in a condition, which has little room."""
    job = a_job(Stage.TRAIN)
    cause = cause_of(job, None, hints={job.uid: f"FailedCreate: Error creating: {refusal}"}, now=after(6))
    text = cause.text(MAX_CAUSE)
    assert cause.reason.name == "PodRefused"
    assert text.startswith(f"Job tire-train-1 gets no pod: {why}. ")
    assert step in text


@pytest.mark.parametrize(
    ("pod", "seconds", "subject"),
    [
        (None, 1, ""),
        (None, 5, "job-prep-1"),
        (a_pod(scheduled_at=PLACED), 1, ""),
        (a_pod(scheduled_at=PLACED), 6, "pod-prep-1"),
        (a_pod(unschedulable="no GPU"), 60, ""),
    ],
)
def test_events_are_read_only_if_nothing_else_shows_the_cause(pod: Any, seconds: int, subject: str) -> None:
    assert cause_of(a_job(), pod, hints={}, now=after(seconds)).subject_uid == subject
