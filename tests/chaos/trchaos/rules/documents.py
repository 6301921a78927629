"""Documents and times: every attempt is made from what was accepted, and deadlines end what has passed them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from trchaos.operator_faults import OTHER_IMAGE
from trchaos.rules.rule import Rule, Status, condition, entries, is_true

if TYPE_CHECKING:
    from trchaos.rules.calm import Calm
    from trchaos.rules.rule import Scene
    from trchaos.rules.truth import JobFacts, RunFacts

RESUMED_SECONDS: Final = 5.0
CALM_SECONDS: Final = 10.0
STORAGE: Final = {"storageRefused", "storageOutage"}


class Documents(Rule):
    """The digest and the images of attempts; the ends by a deadline; blame of the storage."""

    def __init__(self, scene: Scene, calm: Calm) -> None:
        super().__init__(scene)
        self._calm = calm

    def job_made(self, run: RunFacts, job: JobFacts) -> None:
        settings = self.scene.world.settings
        pod = job.body["spec"].get("template", {}).get("spec", {})
        images = {container.get("image") for container in pod.get("containers") or ()}
        asked = (run.spec.get("train") or {}).get("image")
        document = self.scene.world.store.find(
            "configmaps", f"{run.name}-resolved-{run.uid[:8]}", namespace=run.namespace
        )
        text = ((document or {}).get("data") or {}).get("resolved.json") or ""
        strange = images - {settings.agent_image, asked, *self._trainers(text)}
        if strange:
            self.scene.broken(
                "attempts are what was accepted", run.key, f"Job {job.name} has {sorted(map(str, strange))}"
            )
        accepted = run.status.get("resolvedDigest")
        if document is None or accepted is None or _is_retried(run.spec, run.status):
            return
        made = float(self.scene.truth.documents.get(run.uid, 0.0))
        if hashlib.sha256(text.encode()).hexdigest() != accepted and self.scene.now - made > RESUMED_SECONDS:
            self.scene.broken("attempts are what was accepted", run.key, f"Job {job.name} mounts another document")

    def _trainers(self, text: str) -> set[str]:
        """The trainer images that a version of the operator comes with: if possible, only that of the document."""
        ours = {self.scene.world.settings.trainer_image, OTHER_IMAGE}
        return {image for image in ours if f'"{image}"' in text} or ours

    def stored(self, run: RunFacts, before: Status, now: Status) -> None:
        old, new = before.get("resolvedDigest"), now.get("resolvedDigest")
        raised = now.get("retry", 0) > before.get("retry", 0)
        if old is not None and new is not None and old != new and not raised:
            self.scene.broken("attempts are what was accepted", run.key, f"another document was accepted: {new}")
        if is_true(now, "Finished") and not is_true(before, "Finished"):
            self._deadline(run, before, now)
        self._storage(run, before, now)

    def _deadline(self, run: RunFacts, before: Status, now: Status) -> None:
        """The times are those of the operator that decides, so that clocks that differ do not matter."""
        if "finishedAt" not in now:
            return  # another rule says so
        reason, ended = condition(now, "Succeeded").get("reason"), datetime.fromisoformat(now["finishedAt"])
        if reason == "ActiveDeadlineExceeded":
            self._is_past(run, "activeDeadlineSeconds", since=before.get("activeSince"), ended=ended)
        if reason == "StartDeadlineExceeded":
            stage, entry = next(
                (s, e) for s, e in entries(now).items() if e.get("lastReason") == "StartDeadlineExceeded"
            )
            jobs = run.jobs_of(stage, entry["number"])
            since = _begun(jobs[-1], entry) if jobs else entry.get("startedAt")
            self._is_past(run, "startDeadlineSeconds", since=since, ended=ended)
            if jobs and _is_held(jobs[-1].body) and self._calm.sees(run.namespace) > CALM_SECONDS:
                text = f"Job {jobs[-1].name} is suspended, or has not been resumed by the Job controller"
                self.scene.broken("deadlines end what has passed them", run.key, text)
            known = entries(before).get(stage, {})
            if known.get("number") == entry["number"] and "ranAt" in known:
                text = f"attempt {entry['number']} of {stage} had started at {known['ranAt']}"
                self.scene.broken("deadlines end what has passed them", run.key, text)

    def _is_past(self, run: RunFacts, field: str, *, since: str | None, ended: datetime) -> None:
        limit = run.spec.get(field)
        passed = (ended - datetime.fromisoformat(since)).total_seconds() if since else None
        if limit is None or passed is None or passed < limit:
            self.scene.broken("deadlines end what has passed them", run.key, f"{field} {limit}: {passed} s have passed")

    def _storage(self, run: RunFacts, before: Status, now: Status) -> None:
        """The storage is blamed only for ends that are its fault."""
        was, is_now = (condition(status, "StorageReady").get("status") for status in (before, now))
        if is_now != "False" or was == "False":
            return
        ends = [entry for entry in entries(now).values() if entry.get("lastOutcome") in STORAGE]
        if not any(entry.get("lastReason") != "DatasetLost" for entry in ends):
            self.scene.broken(
                "the storage is blamed for what is its fault", run.key, str(condition(now, "StorageReady"))
            )


def _begun(job: JobFacts, entry: Mapping[str, Any]) -> str:
    """From when on an attempt waits for its start: its creation, or its last resumption."""
    created = str(job.body["metadata"]["creationTimestamp"])
    started = str((job.body.get("status") or {}).get("startTime") or "")
    begun = str(entry.get("startedAt") or created)
    if not started or job.held is None:  # otherwise it starts late because the Job controller was
        return min(created, begun)
    late = (datetime.fromisoformat(started) - datetime.fromisoformat(created)).total_seconds()
    return max(created, started) if late > RESUMED_SECONDS else min(max(created, started), begun)


def _is_held(job: Mapping[str, Any]) -> bool:
    """Whether a Job is suspended, also if it has just been asked to go on."""
    return any(
        c["type"] == "Suspended" and c["status"] == "True" for c in job.get("status", {}).get("conditions") or ()
    )


def _is_retried(spec: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    return int(spec.get("retry") or 0) > int(status.get("retry") or 0)
