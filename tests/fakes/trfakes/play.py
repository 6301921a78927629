"""Simulate a run with `plan()` alone: its decisions take effect at once, and tests move the clock."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from trainingrun.api import clock
from trainingrun.api.names import Stage
from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.api.status import Status
from trainingrun.builders.jobs import build_job
from trainingrun.builders.resolved import resolved_text, text_digest
from trainingrun.domain.decision import Decision
from trainingrun.domain.document import Document
from trainingrun.domain.draft import Event
from trainingrun.domain.nodes import Nodes
from trainingrun.domain.observe import ContainerView, JobView, Observed, PodView
from trainingrun.domain.plan import plan
from trainingrun.engine.crowds import Crowds
from trfakes.builders import SETTINGS, START, RunBuilder, a_run
from trfakes.fake_cluster import verdict


class Play:
    """A simulated run with its Jobs, pods and current time."""

    def __init__(self, builder: RunBuilder | None = None) -> None:
        self.run: Run = (builder or a_run()).build()
        self.settings = SETTINGS
        self.now = START
        self.jobs: dict[str, JobView] = {}
        self.pods: dict[str, PodView] = {}
        self.lingering: list[PodView] = []  # pods with the run's labels whose Job is unknown
        self.progress: dict[str, Any] = {}
        self.hints: dict[str, str] = {}
        self.board_lost = False  # something else has deleted the run's TensorBoard
        self.document: str | None = None  # resolved.json in the run's ConfigMap
        self.remembered: str | None = None  # as this operator has read or written it
        self.specs: dict[str, Any] = {}  # of Jobs, by UID; those that have none are as the operator makes them
        self.created: list[str] = []
        self.events: list[Event] = []
        self.others: dict[str, Run] = {}
        self.nodes = Nodes()
        self.deleted = False
        self.unread_pods: frozenset[str] = frozenset()  # UIDs of ended Jobs whose pods only the watch has shown

    def step(self, seconds: float = 0) -> Decision:
        """Advance the clock, decide and apply the decision."""
        self.now += timedelta(seconds=seconds)
        decision = self._decide()
        for body in (*decision.create, *decision.create_optional):
            self._create(body, decision)
        for child in (*decision.delete, *decision.delete_after_status):
            self.jobs.pop(child.name, None)
        told = {(event.reason, event.wait_since) for event in self.events if event.wait_since}
        self.events += [event for event in decision.draft.events if (event.reason, event.wait_since) not in told]
        self.deleted = decision.delete_run
        self.run = replace(self.run, status=json.loads(json.dumps(decision.draft.status)))
        return decision

    def _decide(self) -> Decision:
        """Call plan(), again with what it asks for."""
        crowds = Crowds()
        for run in (self.run, *self.others.values()):
            crowds.put(run)
        remembered = self.remembered or ""
        known = text_digest(remembered) == self.run.status.get("resolvedDigest")
        observed = Observed(
            document=Document(remembered, fresh=False) if known else None,
            known_text=remembered if known else "",
            find_run=self.others.get,
            jobs=tuple(self.jobs.values()),
            lingering=(*self.pods.values(), *self.lingering),
            progress=self.progress,
            hints=self.hints,
            crowd=crowds.of(self.run.namespace),
            board_lost=self.board_lost,
            neighbours=self.others.values,
            nodes=self.nodes,
            unread_pods=self.unread_pods,
        )
        while True:
            decision = plan(self.run, observed, settings=self.settings, now=self.now)
            read = observed.document is not None and observed.document.fresh
            taken = self.document is not None and any(body["kind"] == "ConfigMap" for body in decision.create)
            if not read and (decision.read_document or taken):
                observed = replace(observed, document=Document(self.document))
                self.remembered = self.remembered or self.document
            elif decision.read_jobs:
                specs = {job.uid: self.specs.get(job.uid) or self._spec_of(job) for job in decision.read_jobs}
                observed = replace(observed, specs={**observed.specs, **specs})
            else:
                return decision

    def _spec_of(self, job: JobView) -> Mapping[str, Any]:
        assert self.document is not None
        spec: Mapping[str, Any] = build_job(
            self.run,
            stage=job.stage,
            attempt=job.attempt,
            resolved=self.resolved,
            digest=text_digest(self.document),
            settings=self.settings,
        )["spec"]
        return spec

    def _create(self, body: Mapping[str, Any], decision: Decision) -> None:
        name = body["metadata"]["name"]
        assert name not in self.created, f"Job {name} was created twice"
        if body["kind"] == "ConfigMap":
            self.document = self.remembered = body["data"]["resolved.json"]
        else:
            self.created.append(name if body["kind"] == "Job" else f"{body['kind']} {name}")
        if body["kind"] == "Job":
            made = copy.deepcopy(dict(body))
            made["metadata"] |= {"uid": f"uid-{name}", "creationTimestamp": clock.to_text(self.now)}
            job = JobView.from_object(made)
            assert job is not None
            self.jobs[name] = job
            self.specs[job.uid] = body["spec"]
            decision.draft.record_job(job.stage, job.uid)

    @property
    def resolved(self) -> dict[str, Any]:
        """The document in the run's ConfigMap."""
        assert self.document is not None
        return dict(json.loads(self.document))

    def restart(self, settings: Settings = SETTINGS) -> None:
        """Let another operator take over: no agent has answered it yet, and it knows no pod that is gone."""
        self.remembered, self.settings = None, settings
        self.progress, self.board_lost = {}, False
        self.pods = {name: pod for name, pod in self.pods.items() if not pod.gone}

    def accept_with(self, **fields: Any) -> None:
        """Let the run have been accepted with a document that has these fields."""
        self.document = self.remembered = resolved_text({**self.resolved, **fields})
        self.run = replace(self.run, status={**self.run.status, "resolvedDigest": text_digest(self.document)})

    def start_pod(self, job: str, **fields: Any) -> PodView:
        """Let the pod of a Job run."""
        view = self.jobs[job]
        names = ["agent"] if view.stage is Stage.PREP else ["agent", {"train": "trainer"}.get(view.stage, "exporter")]
        now = clock.to_text(self.now)
        self.pods[job] = PodView(
            namespace=view.namespace,
            name=f"{job}-x1",
            uid=f"pod-of-{job}",
            run=view.run,
            run_uid=view.run_uid,
            job_uid=view.uid,
            stage=view.stage,
            attempt=view.attempt,
            created=now,
            phase="Running",
            ip="10.0.0.1",
            scheduled_at=now,
            containers={name: ContainerView("running", started_at=now) for name in names},
        )
        self.change_pod(job, **fields)
        return self.pods[job]

    def change_pod(self, job: str, **fields: Any) -> None:
        self.pods[job] = replace(self.pods[job], **fields)

    def end_pod(self, job: str, outcome: str = "succeeded", **fields: Any) -> None:
        """End the pod's containers with this verdict, and its Job."""
        if job not in self.pods:
            self.start_pod(job)
        pod = self.pods[job]
        failed = outcome != "succeeded"
        now = clock.to_text(self.now)
        message = json.dumps(verdict(pod.stage, outcome, **fields))
        ended = {
            name: ContainerView("terminated", "", message if name == "agent" else "", int(failed), now, now)
            for name in pod.containers
        }
        self.change_pod(job, phase="Failed" if failed else "Succeeded", containers=ended)
        if job in self.jobs:
            result = "Failed" if failed else "Complete"
            self.jobs[job] = replace(self.jobs[job], finished=result, finished_at=now)

    def spec(self, **fields: Any) -> None:
        """Change the spec, as a user does."""
        self.run = replace(self.run, spec={**self.run.spec, **fields}, generation=self.run.generation + 1)

    @property
    def status(self) -> Status:
        return self.run.status

    def condition(self, kind: str) -> dict[str, Any]:
        return next((dict(c) for c in self.status["conditions"] if c["type"] == kind), {})

    def attempts(self, stage: str) -> dict[str, Any]:
        return next((dict(a) for a in self.status.get("attempts", []) if a["stage"] == stage), {})

    def reasons(self) -> list[str]:
        return [event.reason for event in self.events]

    def play_to(self, stage: Stage) -> str:
        """Let the stages before `stage` succeed; returns the name of its first Job."""
        self.step()
        for earlier in Stage:
            if earlier is stage:
                break
            self.end_pod(f"{self.run.name}-{earlier}-1")
            self.step(1)
        return f"{self.run.name}-{stage}-1"
