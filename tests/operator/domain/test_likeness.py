"""An object is the run's if its pods would be those that the operator makes; labels and owners prove nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from trainingrun.api.names import Stage
from trainingrun.api.run import Run
from trainingrun.builders.jobs import build_job
from trainingrun.builders.tensorboard import build_tensorboard
from trainingrun.domain.likeness import unlike
from trfakes.builders import SETTINGS
from trfakes.recording import FOLDER, Recording

OBJECTS = Recording(FOLDER / "0.1.0").objects()
JOBS = [body["metadata"]["name"] for body in OBJECTS["jobs"]]
Body = dict[str, Any]


def written(plural: str, name: str) -> Body:
    found = next(body for body in OBJECTS[plural] if body["metadata"]["name"].startswith(name))
    return dict(copy.deepcopy(found))


def arguments(run: str) -> Body:
    document = json.loads(written("configmaps", f"{run}-resolved")["data"]["resolved.json"])
    settings = replace(SETTINGS, image_pull_secrets=("new",), image_pull_policy="Always")
    return {"resolved": document, "digest": "d1" * 32, "settings": settings}


def wanted(job: str) -> Body:
    """The Job as this version makes it, with settings that changed since."""
    name, stage, attempt = job.rsplit("-", 2)
    run = Run.from_object(written("trainingruns", name))
    return build_job(run, stage=Stage(stage), attempt=int(attempt), **arguments(name))


@pytest.mark.parametrize("job", JOBS)
def test_jobs_of_the_version_before_are_the_runs_own_with_the_defaults_of_the_api_server(job: str) -> None:
    assert unlike(written("jobs", job), wanted(job)) == ""


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
def test_tensorboard_of_the_version_before_is_the_runs_own(kind: str) -> None:
    run = Run.from_object(written("trainingruns", "training"))
    (body,) = (b for b in build_tensorboard(run, **arguments("training")) if b["kind"] == kind)
    assert unlike(written(f"{kind.lower()}s", "training"), body) == ""


def pod(job: Body) -> Body:
    found: Body = job["spec"]["template"]["spec"]
    return found


def agent(job: Body) -> Body:
    found: Body = pod(job)["containers"][0]
    return found


def set_env(name: str, value: str) -> Callable[[Body], None]:
    def change(job: Body) -> None:
        agent(job)["env"] = [e for e in agent(job)["env"] if e["name"] != name] + [{"name": name, "value": value}]

    return change


def put(where: Callable[[Body], Body], **fields: Any) -> Callable[[Body], None]:
    return lambda job: where(job).update(fields)


FORGERIES: dict[str, Callable[[Body], None]] = {
    "image": put(agent, image="evil:1"),
    "command": put(agent, command=["sh"]),
    "args": put(agent, args=["prep", "x"]),
    "no args": lambda job: agent(job).pop("args"),
    "env": set_env("AWS_ENDPOINT_URL", "http://evil"),
    "value of env": set_env("TRAININGRUN_STAGE", "export"),
    "digest": set_env("TRAININGRUN_RESOLVED_SHA256", "e" * 64),
    "env twice": lambda job: agent(job)["env"].append({"name": "POD_UID", "value": "x"}),
    "envFrom": put(agent, envFrom=[{"secretRef": {"name": "database"}}]),
    "lifecycle": put(agent, lifecycle={"postStart": {"exec": {"command": ["sh"]}}}),
    "probe": lambda job: agent(job)["livenessProbe"].update(exec={"command": ["sh"]}),
    "another probe": put(agent, readinessProbe={"exec": {"command": ["sh"]}}),
    "address of a probe": lambda job: agent(job)["livenessProbe"]["httpGet"].update(host="evil"),
    "security": put(agent, securityContext={"privileged": True}),
    "no security": lambda job: agent(job).pop("securityContext"),
    "escalation": lambda job: agent(job)["securityContext"].pop("allowPrivilegeEscalation"),
    "port of the node": lambda job: agent(job)["ports"][0].update(hostPort=80),
    "mount": lambda job: agent(job)["volumeMounts"][0].update(mountPath="/etc"),
    "mount of the document": lambda job: agent(job)["volumeMounts"][2].update(subPath="other.json"),
    "workingDir": put(agent, workingDir="/shared"),
    "another container": lambda job: pod(job)["containers"].append({"name": "x", "image": "evil"}),
    "a container less": lambda job: pod(job)["containers"].pop(),
    "init container": put(pod, initContainers=[{"name": "x", "image": "evil"}]),
    "document": lambda job: pod(job)["volumes"][0]["configMap"].update(name="forged"),
    "Secret": lambda job: pod(job)["volumes"][1]["secret"].update(secretName="database"),
    "disk of the node": lambda job: pod(job)["volumes"][2].update(hostPath={"path": "/"}),
    "another volume": lambda job: pod(job)["volumes"].append({"name": "x", "emptyDir": {}}),
    "account": put(pod, serviceAccountName="admin"),
    "token": put(pod, automountServiceAccountToken=True),
    "token by default": lambda job: pod(job).pop("automountServiceAccountToken"),
    "network of the node": put(pod, hostNetwork=True),
    "names of hosts": put(pod, hostAliases=[{"ip": "10.6.6.6", "hostnames": ["s3.storage"]}]),
    "DNS": put(pod, dnsConfig={"nameservers": ["192.0.2.1"]}),
    "node": put(pod, nodeName="control-plane"),
    "user": put(pod, securityContext={"runAsUser": 0}),
    "runtime": put(pod, runtimeClassName="none"),
    "labels": lambda job: job["spec"]["template"]["metadata"]["labels"].update({"trainingrun.dev/attempt": "7"}),
    "many pods": lambda job: job["spec"].update(parallelism=50),
    "retries": lambda job: job["spec"].update(backoffLimit=6),
    "no template": lambda job: job["spec"].pop("template"),
    "no spec": lambda job: job.pop("spec"),
}


@pytest.mark.parametrize("way", FORGERIES)
def test_a_job_with_anything_else_is_not_the_runs(way: str) -> None:
    forged = written("jobs", "training-train-1")
    FORGERIES[way](forged)
    assert unlike(forged, wanted("training-train-1")).startswith("spec.")


def test_a_service_of_other_pods_is_not_the_runs() -> None:
    run = Run.from_object(written("trainingruns", "training"))
    service = build_tensorboard(run, **arguments("training"))[1]
    forged = written("services", "training")
    forged["spec"]["selector"] = {"app": "evil"}
    assert unlike(forged, service) == "spec.selector.app"
