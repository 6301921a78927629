"""Replace Job controller, scheduler and kubelet for an API server that runs alone; tests call each step.

Containers are processes of this machine: the real agent and a fake trainer, so their messages are what users see.
Invariant: one pod runs at a time, because all pods share this machine's address and port.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trcluster.command import CommandError
from trcluster.waiting import until
from trdemo.shell import Kubectl

Object = dict[str, Any]
ROOT = Path(__file__).resolve().parents[3]
FAKE_TRAINER = ROOT / "tests" / "fakes" / "fake_trainer.py"
NODE = "node-0"
SUFFIX = "7xk2p"
SECONDS = 180  # on a busy machine


@dataclass
class ManualNode:
    """Runs the pods of one namespace; `folder` holds their mounts."""

    kubectl: Kubectl
    namespace: str
    folder: Path
    agent_port: int
    running: dict[str, dict[str, subprocess.Popen[bytes]]] = field(default_factory=dict)

    def job(self, name: str) -> Object:
        """Wait until the operator has created a Job and return it."""
        return until(
            lambda: self.kubectl.get("job", name, namespace=self.namespace),
            what=f"Job {name} to be created",
            seconds=SECONDS,
            not_yet=(CommandError,),
        )

    def make_pod(self, job: str, *, node: str = NODE, **condition: str) -> Object:
        """Create a Job's pod: on the node, or unscheduled with a condition of the scheduler."""
        owner = self.job(job)
        template = owner["spec"]["template"]
        named = {"name": job, "uid": owner["metadata"]["uid"], "controller": True}
        reference = {"apiVersion": "batch/v1", "kind": "Job", **named}
        name = f"{job}-{SUFFIX}"
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": template["metadata"]["labels"],
                "ownerReferences": [reference],
            },
            "spec": {**template["spec"], **({"nodeName": node} if node else {})},
        }
        self.kubectl("create", "-f", "-", stdin=json.dumps(pod))
        scheduled = {"type": "PodScheduled", "status": "False" if condition else "True", **condition}
        self._status(name, phase="Pending", conditions=[{**scheduled, "lastTransitionTime": now()}])
        return self.kubectl.get("pod", name, namespace=self.namespace)

    def warn(self, body: Object, *, reason: str, message: str, component: str) -> None:
        """Create a warning Event about a pod or a Job, as a component of Kubernetes would."""
        meta = body["metadata"]
        about = {key: meta[key] for key in ("name", "namespace", "uid")}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{meta['name']}.", "namespace": self.namespace},
            "involvedObject": {"apiVersion": body["apiVersion"], "kind": body["kind"], **about},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "source": {"component": component},
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": 1,
        }
        self.kubectl("create", "-f", "-", stdin=json.dumps(event))

    def start(self, job: str, **plan: Any) -> Object:
        """Create a Job's pod and start its containers; `plan` is for the fake trainer."""
        self.make_pod(job)
        return self.start_pod(job, **plan)

    def start_pod(self, job: str, **plan: Any) -> Object:
        """Start the containers of a pod that exists; `plan` is for the fake trainer."""
        pod = self.kubectl.get("pod", f"{job}-{SUFFIX}", namespace=self.namespace)
        labels = pod["metadata"]["labels"]
        stage = labels["trainingrun.dev/stage"]
        root = self.folder / pod["metadata"]["uid"]
        (root / "shared").mkdir(parents=True)
        self._mount(pod, root)
        command = [sys.executable, "-m", "trainingrun_agent", stage, "--port", str(self.agent_port)]
        for option in ("resolved.json", "credentials", "shared", "termination-log"):
            command += [f"--{option.removesuffix('.json')}", str(root / option)]
        given = {each["name"]: each.get("value", "") for each in pod["spec"]["containers"][0]["env"]}
        env = {**os.environ, **given, "POD_UID": pod["metadata"]["uid"]}
        log = (root / "log").open("wb")
        made = {"agent": subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)}
        if stage != "prep":
            trainer = [sys.executable, str(FAKE_TRAINER), str(root / "shared"), json.dumps(plan)]
            made[pod["spec"]["containers"][1]["name"]] = subprocess.Popen(trainer, stdout=log, stderr=subprocess.STDOUT)
        log.close()
        self.running[job] = made
        states = [self._container(name, {"running": {"startedAt": now()}}) for name in made]
        address = {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
        self._status(pod["metadata"]["name"], phase="Running", containerStatuses=states, **address)
        return pod

    def finish(self, job: str) -> None:
        """Wait until the pod's processes end and write how they ended to its status."""
        name = f"{job}-{SUFFIX}"
        uid = self.kubectl.get("pod", name, namespace=self.namespace)["metadata"]["uid"]
        states = []
        codes = {container: process.wait(SECONDS) for container, process in self.running.pop(job).items()}
        for container, code in codes.items():
            ended: Object = {"exitCode": abs(code), "reason": "Error" if code else "Completed"}
            if container == "agent":
                ended["message"] = (self.folder / uid / "termination-log").read_text()
            states.append(
                self._container(container, {"terminated": {**ended, "startedAt": now(), "finishedAt": now()}})
            )
        self._status(name, phase="Failed" if any(codes.values()) else "Succeeded", containerStatuses=states)

    def report(self, job: str, *, ip: str = "", verdict: Mapping[str, Any] | None = None) -> None:
        """Write the status of a pod without processes: running at this address, or ended with this verdict."""
        name = f"{job}-{SUFFIX}"
        containers = [
            each["name"] for each in self.kubectl.get("pod", name, namespace=self.namespace)["spec"]["containers"]
        ]
        if verdict is None:
            states = [self._container(each, {"running": {"startedAt": now()}}) for each in containers]
            self._status(name, phase="Running", podIP=ip, podIPs=[{"ip": ip}], containerStatuses=states)
            return
        failed = verdict["outcome"] != "succeeded"
        ended = {"exitCode": int(failed), "startedAt": now(), "finishedAt": now()}
        messages = {"agent": {"message": json.dumps(verdict)}}
        states = [self._container(each, {"terminated": {**ended, **messages.get(each, {})}}) for each in containers]
        self._status(name, phase="Failed" if failed else "Succeeded", containerStatuses=states)

    def kill_for_memory(self, job: str, container: str) -> None:
        """Create a Job's pod that ends at once, because a container exceeded its memory limit."""
        pod = self.make_pod(job)
        times = {"exitCode": 137, "startedAt": now(), "finishedAt": now()}
        reasons = {container: "OOMKilled"}
        names = [each["name"] for each in pod["spec"]["containers"]]
        states = [
            self._container(name, {"terminated": {**times, "reason": reasons.get(name, "Error")}}) for name in names
        ]
        self._status(pod["metadata"]["name"], phase="Failed", containerStatuses=states)

    def delete_pod(self, job: str) -> None:
        """Delete a pod as Kubernetes does: its Job fails; SIGTERM, grace period, final status, removal."""
        name = f"{job}-{SUFFIX}"
        self.kubectl("delete", "pod", name, "-n", self.namespace, "--wait=false")
        failing = {"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded"}
        status = json.dumps({"status": {"startTime": now(), "conditions": [failing]}})
        kind = ("--subresource=status", "--type=merge", "-p", status)
        with suppress(CommandError):  # no Job: the operator has deleted it
            self.kubectl("patch", "job", job, "-n", self.namespace, *kind)
        for process in reversed(self.running[job].values()):
            process.terminate()
        self.finish(job)
        self.kubectl("delete", "pod", name, "-n", self.namespace, "--grace-period=0", "--force", "--wait=false")

    def run_through(self, job: str, **plan: Any) -> None:
        """Start a Job's pod and wait for its end."""
        self.start(job, **plan)
        self.finish(job)

    def kill_all(self) -> None:
        """Kill all processes that still run."""
        for processes in self.running.values():
            for process in processes.values():
                process.kill()
                process.wait()

    def _mount(self, pod: Object, root: Path) -> None:
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        document = self.kubectl.get("configmap", volumes["resolved"]["configMap"]["name"], namespace=self.namespace)
        (root / "resolved.json").write_text(document["data"]["resolved.json"])
        secret = self.kubectl.get("secret", volumes["credentials"]["secret"]["secretName"], namespace=self.namespace)
        (root / "credentials").mkdir()
        for key, value in secret["data"].items():
            (root / "credentials" / key).write_bytes(base64.b64decode(value))

    def _container(self, name: str, state: Mapping[str, Any]) -> Object:
        fields = {"image": name, "imageID": "", "ready": "running" in state, "restartCount": 0}
        return {"name": name, "state": state, **fields}

    def _status(self, pod: str, **fields: Any) -> None:
        patch = json.dumps({"status": fields})
        self.kubectl("patch", "pod", pod, "-n", self.namespace, "--subresource=status", "--type=merge", "-p", patch)


def now() -> str:
    """The current time in the format of the Kubernetes API."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
