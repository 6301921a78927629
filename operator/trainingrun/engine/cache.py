"""What the watches have shown, by run.

Invariant: never newer than the server, never overwritten by something older (resource versions of one object compare as
numbers). A listing takes time: it adds nothing that was deleted and removes nothing that was made while it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from trainingrun.api.run import Run
from trainingrun.domain.observe import JobView, PodView

View = TypeVar("View", JobView, PodView)


class Cache:
    """Runs, Jobs and Pods, plus what is known about attempts in flight."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.jobs: dict[str, dict[str, JobView]] = {}
        self.pods: dict[str, dict[str, PodView]] = {}
        self.progress: dict[str, Mapping[str, Any]] = {}
        self.hints: dict[str, dict[str, str]] = {}
        self._job_uids: dict[str, set[str]] = {}  # by run UID: every Job ever seen to be the run's own
        self._known: set[str] = set()  # UIDs when the listing began
        self._dropped: set[str] | None = None  # UIDs deleted since then, while one is read

    def put_run(self, run: Run) -> None:
        """Keep a run unless a newer version is known; another run of the same name replaces it with all it had."""
        known = self.runs.get(run.key)
        if known is not None and known.uid != run.uid:
            self.drop_run(known.key, uid=known.uid)
            known = None
        if _newer(run, known):
            self.runs[run.key] = run

    def drop_run(self, key: str, *, uid: str) -> None:
        """Forget a deleted run and everything about it, unless another one took its name."""
        self._note_dropped(uid)
        known = self.runs.get(key)
        if known is None or known.uid != uid:
            return
        del self.runs[key]
        self.forget_attempts(key)
        for job in [job for job in self.jobs.get(key, {}).values() if job.run_uid == uid]:
            self.drop_job(job)
        for pod in [pod for pod in self.pods.get(key, {}).values() if pod.run_uid == uid]:
            _remove(self.pods, key, pod.uid)
        self._job_uids.pop(uid, None)

    def forget_attempts(self, key: str) -> None:
        """Forget what running pods said and what kept them from running."""
        self.progress.pop(key, None)
        self.hints.pop(key, None)

    def put_job(self, job: JobView) -> None:
        """Keep a Job."""
        table = self.jobs.setdefault(job.run_key, {})
        if _newer(job, table.get(job.uid)):
            table[job.uid] = job
        if job.owner_uid == job.run_uid:
            self._job_uids.setdefault(job.run_uid, set()).add(job.uid)

    def drop_job(self, job: JobView) -> None:
        """Forget a deleted Job, and pods of it that were kept for their last word."""
        self._note_dropped(job.uid)
        _remove(self.jobs, job.run_key, job.uid)
        kept = [p.uid for p in self.pods.get(job.run_key, {}).values() if p.gone and p.job_uid == job.uid]
        for uid in kept:
            _remove(self.pods, job.run_key, uid)
        run = self.runs.get(job.run_key)
        if run is None or run.uid != job.run_uid:
            self._job_uids.pop(job.run_uid, None)

    def put_pod(self, pod: PodView) -> None:
        """Keep a pod."""
        table = self.pods.setdefault(pod.run_key, {})
        if _newer(pod, table.get(pod.uid)):
            table[pod.uid] = pod

    def drop_pod(self, pod: PodView) -> None:
        """A removed pod keeps its last word while its Job is there."""
        self._note_dropped(pod.uid)
        if pod.job_uid in self.jobs.get(pod.run_key, {}):
            self.put_pod(pod.departed())
        else:
            _remove(self.pods, pod.run_key, pod.uid)

    def jobs_of(self, run: Run) -> tuple[JobView, ...]:
        """Jobs whose controller is this very run; a label alone proves nothing."""
        return tuple(j for j in self.jobs.get(run.key, {}).values() if j.run_uid == run.uid == j.owner_uid)

    def pods_of(self, run: Run) -> tuple[PodView, ...]:
        """Pods whose controller is or was a Job of this very run."""
        jobs = self._job_uids.get(run.uid, set())
        return tuple(p for p in self.pods.get(run.key, {}).values() if p.run_uid == run.uid and p.job_uid in jobs)

    def pods_labelled(self, run: Run) -> tuple[PodView, ...]:
        """Pods with the run's labels, also of Jobs that were deleted before this process began; anyone can make one."""
        return tuple(p for p in self.pods.get(run.key, {}).values() if p.run_uid == run.uid)

    def start_listing(self) -> None:
        """Call before a full listing is read; one listing at a time."""
        self._known = _uids(self.runs.values()) | _uids(_all(self.jobs)) | _uids(_all(self.pods))
        self._dropped = set()

    def finish_listing(self, *, runs: Iterable[Run], jobs: Iterable[JobView], pods: Iterable[PodView]) -> None:
        """Take a full listing: what it lacks and was known before was deleted while no watch was looking."""
        runs, jobs, pods = list(runs), list(jobs), list(pods)
        dropped = self._dropped or set()
        lost = self._known - _uids(runs) - _uids(jobs) - _uids(pods)
        for run in runs:
            if run.uid not in dropped:
                self.put_run(run)
        for job in jobs:
            if job.uid not in dropped:
                self.put_job(job)
        for pod in pods:
            if pod.uid not in dropped:
                self.put_pod(pod)
        for job in [job for job in _all(self.jobs) if job.uid in lost]:
            self.drop_job(job)
        for pod in [pod for pod in _all(self.pods) if pod.uid in lost and not pod.gone]:
            self.drop_pod(pod)
        for run in [run for run in self.runs.values() if run.uid in lost]:
            self.drop_run(run.key, uid=run.uid)
        self._known.clear()
        self._dropped = None

    def _note_dropped(self, uid: str) -> None:
        if self._dropped is not None:
            self._dropped.add(uid)


def _all(tables: Mapping[str, Mapping[str, View]]) -> list[View]:
    return [view for table in tables.values() for view in table.values()]


def _uids(views: Iterable[Run | JobView | PodView]) -> set[str]:
    return {view.uid for view in views}


def _remove(tables: dict[str, dict[str, View]], key: str, uid: str) -> None:
    table = tables.get(key, {})
    table.pop(uid, None)
    if not table:
        tables.pop(key, None)


def _newer(new: Run | JobView | PodView, old: Run | JobView | PodView | None) -> bool:
    if old is None:
        return True
    try:
        return int(new.resource_version) >= int(old.resource_version)
    except ValueError:
        return True
