"""Helm refuses wrong values of the chart before anything is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trcluster.command import CommandError

REFUSED = [
    ("replicas=2", "additional properties 'replicas' not allowed"),
    ("images.worker.tag=1", "additional properties 'worker' not allowed"),
    ("images.agent.name=a", "additional properties 'name' not allowed"),
    ("images.agent.tag=latest", "at '/images/agent/tag'"),
    ("images.agent.tag=2", "at '/images/agent/tag': got number, want string"),
    ("images.agent.digest=sha256:abc", "at '/images/agent/digest'"),
    ("images.agent.repository=", "at '/images/agent/repository'"),
    ("imagePullPolicy=Sometimes", "value must be one of 'Always', 'IfNotPresent', 'Never'"),
    ("imagePullSecrets={one}", "at '/imagePullSecrets/0'"),
    ("watchNamespaces=vision", "at '/watchNamespaces'"),
    ("watchNamespaces={Vision}", "at '/watchNamespaces/0'"),
    ("leaseNamespace=", "at '/leaseNamespace'"),
    ("policy.secretNames={}", "at '/policy/secretNames/0'"),
    ("policy.secretNames=null", "at '/policy'"),
    ("policy.endpoints={a b}", "at '/policy/endpoints/0'"),
    ("policy.endpoints={s3.example.com}", "at '/policy/endpoints/0'"),
    ("policy.endpoints={https://s3.example.com/}", "at '/policy/endpoints/0'"),
    ("policy.endpoints={https://a@s3.example.com}", "at '/policy/endpoints/0'"),
    ("policy.serviceAccounts={a b}", "at '/policy/serviceAccounts/0'"),
    ("policy.stsEndpoints={sts.example.com}", "at '/policy/stsEndpoints/0'"),
    ("policy.proxies={http://user:word@proxy:3128}", "at '/policy/proxies/0'"),
    ("policy.weightHosts={https://zoo.example}", "at '/policy/weightHosts/0'"),
    ("policy.weightHosts={zoo.example/models}", "at '/policy/weightHosts/0'"),
    ("policy.tolerations={a b}", "at '/policy/tolerations/0'"),
    ("policy.podLabels=null", "at '/policy'"),
    ("policy.priorityClasses={a b}", "at '/policy/priorityClasses/0'"),
    ("runs.podLabels.cost center=a", "at '/runs/podLabels': additional properties 'cost center' not allowed"),
    ("runs.podLabels.a=b c", "at '/runs/podLabels/a'"),
    ("runs.podLabels.a=1", "at '/runs/podLabels/a': got number, want string"),
    ("runs.podLabels.job-name=a", "at '/runs/podLabels/job-name'"),
    (r"runs.podLabels.trainingrun\.dev/run=a", "at '/runs/podLabels/trainingrun.dev~1run'"),
    (r"runs.podAnnotations.app\.kubernetes\.io/component=a", "at '/runs/podAnnotations/app.kubernetes.io~1component'"),
    (r"runs.podAnnotations.eks\.amazonaws\.com/skip-containers=a", "at '/runs/podAnnotations/eks.amazonaws.com~1skip-"),
    ("runs.tokenAudience=", "at '/runs/tokenAudience'"),
    ("runs.tokenAudience=https://kubernetes.default.svc", "at '/runs/tokenAudience'"),
    ("runs.storageProxy.url=proxy:3128", "at '/runs/storageProxy/url'"),
    ("runs.storageProxy.url=http://user:word@proxy:3128", "at '/runs/storageProxy/url'"),
    ("runs.storageProxy.noProxy={a b}", "at '/runs/storageProxy/noProxy/0'"),
    ("runs.storageProxy.user=a", "additional properties 'user' not allowed"),
    ("runs.priorityClassName=High", "at '/runs/priorityClassName'"),
    ("runs.labels.a=b", "additional properties 'labels' not allowed"),
    ("runs.agent.resources.limits.gpu=1", "additional properties 'gpu' not allowed"),
    ("runs.agent.resources.limits.cpu=all", "at '/runs/agent/resources/limits/cpu'"),
    ("tensorboard.enabled=no", "at '/tensorboard/enabled'"),
    ("tensorboard.ttlSecondsAfterFinished=-1", "at '/tensorboard/ttlSecondsAfterFinished'"),
    ("tensorboard.ttl=1", "additional properties 'ttl' not allowed"),
    ("policy.buckets={a}", "additional properties 'buckets' not allowed"),
    ("networkPolicy.apiServerPorts={}", "at '/networkPolicy/apiServerPorts"),
    ("networkPolicy.port=1", "additional properties 'port' not allowed"),
    ("resources.limits.gpu=1", "additional properties 'gpu' not allowed"),
    ("affinity.podAfinity.a=b", "additional properties 'podAfinity' not allowed"),
    ("tolerations[0].seconds=30", "additional properties 'seconds' not allowed"),
    ("failedJobsTTLSeconds=-1", "at '/failedJobsTTLSeconds'"),
    ("lostPodSeconds=9", "at '/lostPodSeconds'"),
    ("log.level=LOUD", "at '/log/level'"),
    ("crds.install=true", "additional properties 'install' not allowed"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=[value for value, _ in REFUSED])
def test_wrong_value_is_refused(value: str, message: str, rendered: Callable[..., list[Any]]) -> None:
    """The schema refuses it; the error names the path of the value."""
    with pytest.raises(CommandError) as refused:
        rendered(value)
    assert message in refused.value.stderr
