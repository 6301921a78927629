"""Runs, Jobs and Pods as the watches have shown them, by run.

Invariant: an older version never replaces a newer one (resource versions of one object compare as numbers). Reading a
full listing takes time: it adds nothing that was deleted meanwhile and removes nothing that was created meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from trainingrun.api.run import Run
from trainingrun.domain.observe import JobView, PodView

View = TypeVar("View", JobView, PodView)


class Cache:
    """Runs, Jobs and Pods, with progress and warning Events of attempts in flight."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.jobs: dict[str, dict[str, JobView]] = {}
        self.pods: dict[str, dict[str, PodView]] = {}
        self.progress: dict[str, Mapping[str, Any]] = {}
        self.hints: dict[str, dict[str, str]] = {}
        self._known: set[str] = set()  # UIDs known when the listing began
        self._dropped: set[str] | None = None  # UIDs deleted while a listing is read

    def put_run(self, run: Run) -> None:
        """Store a run unless a newer version is known; a new run of that name replaces the old one and its children."""
        known = self.runs.get(run.key)
        if known is not None and known.uid != run.uid:
            self.drop_run(known.key, uid=known.uid)
            known = None
        if _newer(run, known):
            self.runs[run.key] = run

    def drop_run(self, key: str, *, uid: str) -> None:
        """Remove a deleted run and its children, unless another run has taken its name."""
        self._record_deletion(uid)
        known = self.runs.get(key)
        if known is None or known.uid != uid:
            return
        del self.runs[key]
        self.forget_attempts(key)
        for job in [job for job in self.jobs.get(key, {}).values() if job.run_uid == uid]:
            self.drop_job(job)
        for pod in [pod for pod in self.pods.get(key, {}).values() if pod.run_uid == uid]:
            _remove(self.pods, key, pod.uid)

    def forget_attempts(self, key: str) -> None:
        """Remove progress and warning Events of the run's attempts."""
        self.progress.pop(key, None)
        self.hints.pop(key, None)

    def put_job(self, job: JobView) -> None:
        """Store a Job unless a newer version is known."""
        table = self.jobs.setdefault(job.run_key, {})
        if _newer(job, table.get(job.uid)):
            table[job.uid] = job

    def drop_job(self, job: JobView) -> None:
        """Remove a deleted Job, and its removed pods that were kept for their verdicts."""
        self._record_deletion(job.uid)
        _remove(self.jobs, job.run_key, job.uid)
        kept = [p.uid for p in self.pods.get(job.run_key, {}).values() if p.gone and p.job_uid == job.uid]
        for uid in kept:
            _remove(self.pods, job.run_key, uid)

    def put_pod(self, pod: PodView) -> None:
        """Store a pod unless a newer version is known."""
        table = self.pods.setdefault(pod.run_key, {})
        if _newer(pod, table.get(pod.uid)):
            table[pod.uid] = pod

    def drop_pod(self, pod: PodView) -> None:
        """Remove a deleted pod; while its Job exists, it is kept as gone, for its verdict."""
        self._record_deletion(pod.uid)
        if pod.job_uid in self.jobs.get(pod.run_key, {}):
            self.put_pod(pod.departed())
        else:
            _remove(self.pods, pod.run_key, pod.uid)

    def jobs_of(self, run: Run) -> tuple[JobView, ...]:
        """Jobs that name this run as their owner, which proves nothing."""
        return tuple(j for j in self.jobs.get(run.key, {}).values() if j.run_uid == run.uid == j.owner_uid)

    def pods_of(self, run: Run) -> tuple[PodView, ...]:
        """Pods with the run's labels, also of Jobs deleted before this process began; anyone can create such a pod."""
        return tuple(p for p in self.pods.get(run.key, {}).values() if p.run_uid == run.uid)

    def start_listing(self) -> None:
        """Begin a full listing; call it before the first page is read, one listing at a time."""
        self._known = _uids(self.runs.values()) | _uids(_all(self.jobs)) | _uids(_all(self.pods))
        self._dropped = set()

    def finish_listing(self, *, runs: Iterable[Run], jobs: Iterable[JobView], pods: Iterable[PodView]) -> None:
        """Store a full listing; objects known before that it lacks were deleted while no watch was connected."""
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

    def _record_deletion(self, uid: str) -> None:
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
