"""Simulate what Kubernetes does with a Job: create its pod, start it, end it, and complete the Job."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from trfakes.store import Change, Object, Store

Script = Callable[[Object], Mapping[str, Any] | None]
NUMBERS: Mapping[str, Mapping[str, Any]] = {
    "prep": {
        "digest": "ab" * 32,
        "format": "pascalVOC",
        "reused": False,
        "trainImages": 120,
        "evalImages": 20,
        "trainObjects": 150,
        "evalObjects": 24,
        "errors": 0,
        "warnings": 1,
        "infos": 2,
        "reportURI": "s3://detectors/datasets/abab/report.html",
        "reportJSONURI": "s3://detectors/datasets/abab/report.json",
        "configURI": "s3://detectors/runs/default/tire-1234/pipeline.config",
        "configChanges": 2,
        "configChangesURI": "s3://detectors/runs/default/tire-1234/pipeline-changes.html",
        "topFindings": ["a.xml: box has no area"],
        "resultKey": "runs/default/tire-00000000/prepared.json",
    },
    "train": {
        "step": 150,
        "steps": 150,
        "loss": 1.2345,
        "checkpointStep": 150,
        "newestCheckpointStep": 150,
        "checkpointURI": "s3://detectors/runs/default/tire/train/0002-ab/checkpoints/00000150/",
        "ap50": 0.91,
        "mAP": 0.61,
    },
    "export": {
        "checkpointStep": 150,
        "ap50": 0.912,
        "mAP": 0.613,
        "evalImages": 20,
        "uri": "s3://detectors/runs/default/tire/export/0003-ab/",
    },
}
AT = "2026-01-01T00:00:00Z"


def verdict(stage: str, outcome: str = "succeeded", **fields: Any) -> dict[str, Any]:
    """A verdict as the agent writes it (images/contracts/verdict.schema.json)."""
    document = {
        "contractVersion": 1,
        "stage": stage,
        "outcome": outcome,
        "reason": "Completed" if outcome == "succeeded" else outcome[0].upper() + outcome[1:],
        "message": f"{stage} ended with {outcome}.",
        "numbers": dict(NUMBERS[stage]) if outcome == "succeeded" else {},
        "timings": {"fetch": 1.5, "work": 20.25, "ship": 0.5},
    }
    return {**document, **fields}


class FakeCluster:
    """Job controller, scheduler and kubelet for a store. With a `script`, new Jobs end at once with its verdicts."""

    def __init__(self, store: Store, *, script: Script | None = None) -> None:
        self.store, self.script = store, script
        store.listeners.append(self._see)

    def _see(self, change: Change) -> None:
        ours = change.plural == "jobs" and "trainingrun.dev/stage" in change.body["metadata"].get("labels", {})
        if not ours or change.kind != "ADDED" or self.script is None:
            return
        verdict = self.script(change.body)
        if verdict is not None:
            self.start(change.body)
            self.end(change.body, verdict)

    def make_pod(self, job: Object, **status: Any) -> Object:
        """Create the pod of a Job, not scheduled yet."""
        meta, template = job["metadata"], job["spec"]["template"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
        body = {
            "metadata": {
                "name": f"{meta['name']}-x1",
                "labels": dict(template["metadata"]["labels"]),
                "ownerReferences": [owner],
            },
            "spec": template["spec"],
            "status": {"phase": "Pending", **status},
        }
        return self.store.create("pods", body, namespace=meta["namespace"])

    def start(self, job: Object, *, ip: str = "127.0.0.1") -> Object:
        """Create the pod of a Job and let it run."""
        pod = self.make_pod(job)
        names = [c["name"] for c in pod["spec"]["containers"]]
        now = self.store.now_text()
        return self.store.update_status(
            "pods",
            pod["metadata"]["name"],
            namespace=pod["metadata"]["namespace"],
            phase="Running",
            podIP=ip,
            conditions=[{"type": "PodScheduled", "status": "True", "lastTransitionTime": now}],
            containerStatuses=[{"name": n, "state": {"running": {"startedAt": now}}} for n in names],
        )

    def end(self, job: Object, verdict: Mapping[str, Any], *, exit_code: int | None = None, reason: str = "") -> None:
        """End the pod's containers, with `verdict` as the agent's termination message, and the Job."""
        failed = verdict.get("outcome") != "succeeded"
        now = self.store.now_text()
        terminated = {"exitCode": int(failed) if exit_code is None else exit_code, "finishedAt": now, "startedAt": now}
        meta = job["metadata"]
        pod = self.pod_of(job)
        states = []
        for container in pod["spec"]["containers"]:
            state: dict[str, Any] = {**terminated, "reason": reason or ("Error" if failed else "Completed")}
            if container["name"] == "agent" and verdict:
                state["message"] = json.dumps(verdict)
            states.append({"name": container["name"], "state": {"terminated": state}})
        where = {"namespace": meta["namespace"]}
        phase = "Failed" if failed else "Succeeded"
        self.store.update_status("pods", pod["metadata"]["name"], **where, phase=phase, containerStatuses=states)
        if self.store.find("jobs", meta["name"], **where) is not None:
            condition = {"type": "Failed" if failed else "Complete", "status": "True", "lastTransitionTime": now}
            self.store.update_status("jobs", meta["name"], **where, conditions=[condition])

    def pod_of(self, job: Object) -> Object:
        """Find the pod of a Job."""
        namespace, uid = job["metadata"]["namespace"], job["metadata"]["uid"]
        owned = [
            pod
            for pod in self.store.select("pods", namespace=namespace)
            if any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences") or ())
        ]
        return owned[0]
