"""Runs, Jobs and Pods as the watches have shown them, by run.

Invariant: an older version never replaces a newer one (resource versions of one object compare as numbers). Reading a
full listing takes time: it adds nothing that was deleted meanwhile and removes nothing that was created meanwhile.
Answers of other calls take time too: what was deleted meanwhile stays deleted, and what is about a run is taken only
while the cache holds that run, by UID.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, TypeVar

from trainingrun.api.clock import SYSTEM, Clock
from trainingrun.api.names import Phase
from trainingrun.api.run import Run
from trainingrun.domain.finished import rests
from trainingrun.domain.observe import JobView, PodView
from trainingrun.domain.urgency import Urgency, urgency_of
from trainingrun.engine.crowds import Crowds
from trainingrun.engine.packed import UNREADABLE, pack, unpack

View = TypeVar("View", JobView, PodView)
REMEMBERED_SECONDS: Final = 600.0  # longer than any call or listing lasts


class Cache:
    """Runs, Jobs and Pods, with progress and warning Events of attempts in flight."""

    def __init__(self, *, clock: Clock = SYSTEM) -> None:
        self.runs: dict[str, Run] = {}
        self.jobs: dict[str, dict[str, JobView]] = {}
        self.pods: dict[str, dict[str, PodView]] = {}
        self.progress: dict[str, Mapping[str, Any]] = {}
        self.hints: dict[str, dict[str, str]] = {}
        self.phases: dict[str, str] = {}  # as the status of each run shows it
        self.lost_boards: set[str] = set()  # UIDs of runs whose TensorBoard is gone though their status shows it
        self.crowds = Crowds()
        self._deleted: set[str] = set()  # UIDs of this period, and below of the one before it
        self._deleted_before: set[str] = set()
        self._clock, self._turned_at = clock, clock.monotonic()

    def put_run(self, run: Run) -> bool:
        """Store a run unless a newer version is known or it was deleted; return whether this version is news.

        A new run of that name replaces the old one and its children. What is shown of the old one may come later.
        """
        if self._is_deleted(run.uid):
            return False
        known = self.runs.get(run.key)
        if not _newer(run, known):
            return False
        if known is not None and known.uid != run.uid:
            self.drop_run(known.key, uid=known.uid)
            known = None
        if known is not None and known.resource_version == run.resource_version:
            return False  # the one that is held is not stored twice
        self.runs[run.key] = pack(run)
        self.phases[run.key] = sys.intern(str(run.status.get("phase", Phase.PENDING)))
        self.crowds.put(run)
        self._forget_departed(run.key)
        return True

    def find(self, key: str) -> Run | None:
        """Return a run to be read more than once; `runs` holds finished ones packed."""
        run = self.runs.get(key)
        return None if run is None else unpack(run)

    def holds(self, run: Run) -> bool:
        """Return whether the run still exists, as far as is known, and is not being deleted."""
        known = self.runs.get(run.key)
        return known is not None and known.uid == run.uid and not known.deleting

    def runs_of(self, namespace: str) -> tuple[Run, ...]:
        """Return the runs of a namespace."""
        return tuple(run for run in self.runs.values() if run.namespace == namespace and not run.deleting)

    def drop_run(self, key: str, *, uid: str) -> None:
        """Remove a deleted run and its children, unless another run has taken its name."""
        self._record_deletion(uid)
        known = self.runs.get(key)
        if known is None or known.uid != uid:
            return
        del self.runs[key], self.phases[key]
        self.crowds.drop(known)
        self.lost_boards.discard(uid)
        self.forget_attempts(key)
        for job in [job for job in self.jobs.get(key, {}).values() if job.run_uid == uid]:
            self.drop_job(job)
        for pod in [pod for pod in self.pods.get(key, {}).values() if pod.run_uid == uid]:
            _remove(self.pods, key, pod.uid)

    def forget_attempts(self, key: str) -> None:
        """Remove progress and warning Events of the run's attempts."""
        self.progress.pop(key, None)
        self.hints.pop(key, None)

    def report_progress(self, run_uid: str, key: str, report: Mapping[str, Any]) -> bool:
        """Store an agent's report about a run that is held; return whether it says anything new."""
        run = self.runs.get(key)
        if run is None or run.uid != run_uid or self.progress.get(key) == report:
            return False
        self.progress[key] = report
        return True

    def put_hint(self, run: Run, uid: str, hint: str) -> bool:
        """Store the newest warning about an object of a run that is held; return whether it is new."""
        if not hint or not self.holds(run) or self.hints.get(run.key, {}).get(uid) == hint:
            return False
        self.hints.setdefault(run.key, {})[uid] = hint
        return True

    def put_created_job(self, job: JobView) -> None:
        """Store the answer to the creation of a Job, unless the Job or its run was deleted before the answer came."""
        run = self.runs.get(job.run_key)
        if run is not None and run.uid == job.run_uid and not self._is_deleted(job.uid):
            self._store_job(job)

    def put_job(self, job: JobView) -> None:
        """Store a Job as the watch shows it, unless a newer version is known."""
        self._deleted.discard(job.uid)  # the watch ends an object that loses its label, and shows it with the label
        self._deleted_before.discard(job.uid)
        self._store_job(job)

    def _store_job(self, job: JobView) -> None:
        table = self.jobs.setdefault(job.run_key, {})
        if _newer(job, table.get(job.uid)):
            table[job.uid] = job

    def note_deletion(self, run: Run, uid: str) -> None:
        """Take over that the server has accepted the deletion of a Job, before the watch shows that."""
        job = self.jobs.get(run.key, {}).get(uid)
        if job is not None:
            self.jobs[run.key][uid] = replace(job, deleting=True)

    def drop_job(self, job: JobView) -> None:
        """Remove a deleted Job."""
        self._record_deletion(job.uid)
        _remove(self.jobs, job.run_key, job.uid)
        self._forget_hint(job)
        self._forget_departed(job.run_key)

    def put_pod(self, pod: PodView) -> None:
        """Store a pod as the watch shows it, unless a newer version is known."""
        self._deleted.discard(pod.uid)
        self._deleted_before.discard(pod.uid)
        self._store_pod(pod)

    def _store_pod(self, pod: PodView) -> None:
        table = self.pods.setdefault(pod.run_key, {})
        if _newer(pod, table.get(pod.uid)):
            table[pod.uid] = pod

    def drop_pod(self, pod: PodView) -> None:
        """Remove a deleted pod; while its verdict may still be asked for, it is kept as gone."""
        self._record_deletion(pod.uid)
        self._forget_hint(pod)
        self._store_pod(pod.departed())
        self._forget_departed(pod.run_key)

    def drop_missing_pod(self, pod: PodView) -> None:
        """Remove a pod that the server does not have, as the newest version shows it that is known."""
        self.drop_pod(self.pods.get(pod.run_key, {}).get(pod.uid, pod))

    def put_pods_of_run(self, run: Run, known: Iterable[PodView], pods: Iterable[PodView]) -> None:
        """Store all pods of a run as they were just read; of `known`, which were in the cache before, others are gone.

        They are not taken if the run was deleted meanwhile.
        """
        held = self.runs.get(run.key)
        if held is None or held.uid != run.uid:
            return
        pods = list(pods)
        for pod in pods:
            if not self._is_deleted(pod.uid):
                self._store_pod(pod)
        for pod in known:
            if pod.uid not in _uids(pods) and not pod.gone:
                self.drop_missing_pod(pod)

    def jobs_of(self, run: Run) -> tuple[JobView, ...]:
        """Jobs that name this run as their owner, which proves nothing."""
        return tuple(j for j in self.jobs.get(run.key, {}).values() if j.run_uid == run.uid == j.owner_uid)

    def pods_of(self, run: Run) -> tuple[PodView, ...]:
        """Pods with the run's labels, also of Jobs deleted before this process began; anyone can create such a pod."""
        return tuple(p for p in self.pods.get(run.key, {}).values() if p.run_uid == run.uid)

    def rests(self, run: Run) -> bool:
        """Return whether nothing is left to do for a run as long as nothing changes."""
        with suppress(*UNREADABLE):
            return not self.jobs_of(run) and rests(unpack(run))
        return False

    def urgency_of(self, key: str) -> Urgency:
        """How soon a run has to be looked at."""
        run = self.find(key)
        with suppress(*UNREADABLE):
            jobs, pods = (self.jobs_of(run), self.pods_of(run)) if run is not None else ((), ())
            return urgency_of(run, jobs=jobs, pods=pods)
        return Urgency.NEW

    def start_listing(self, namespace: str | None) -> set[str]:
        """Return the UIDs that are known of a namespace, or of the whole cluster, before its first page is read."""
        views: list[Run | JobView | PodView] = [*self.runs.values(), *_all(self.jobs), *_all(self.pods)]
        return {view.uid for view in views if namespace in {None, view.namespace}}

    def finish_listing(
        self, known: set[str], *, runs: Iterable[Run], jobs: Iterable[JobView], pods: Iterable[PodView]
    ) -> list[str]:
        """Store a complete listing; objects known before that it lacks were deleted while no watch was connected.

        Returns the keys of the runs among them.
        """
        runs, jobs, pods = list(runs), list(jobs), list(pods)
        lost = known - _uids(runs) - _uids(jobs) - _uids(pods)
        gone = [run for run in self.runs.values() if run.uid in lost]
        for run in gone:
            self.drop_run(run.key, uid=run.uid)
        for run in runs:
            self.put_run(run)
        for job in jobs:
            if not self._is_deleted(job.uid):
                self._store_job(job)
        for pod in pods:
            if not self._is_deleted(pod.uid):
                self._store_pod(pod)
        for job in [job for job in _all(self.jobs) if job.uid in lost]:
            self.drop_job(job)
        for pod in [pod for pod in _all(self.pods) if pod.uid in lost and not pod.gone]:
            self.drop_pod(pod)
        return [run.key for run in gone]

    def _record_deletion(self, uid: str) -> None:
        if self._clock.monotonic() - self._turned_at > REMEMBERED_SECONDS:
            self._deleted, self._deleted_before = set(), self._deleted
            self._turned_at = self._clock.monotonic()
        self._deleted.add(uid)

    def _is_deleted(self, uid: str) -> bool:
        return uid in self._deleted or uid in self._deleted_before

    def _forget_departed(self, key: str) -> None:
        """Remove pods that are gone, unless their Job exists or the status of the run names it: see suspension.py."""
        run = self.runs.get(key)
        recorded = {entry.get("jobUID") for entry in run.status.get("attempts", [])} if run is not None else set()
        wanted = recorded | self.jobs.get(key, {}).keys()
        for pod in [pod for pod in self.pods.get(key, {}).values() if pod.gone and pod.job_uid not in wanted]:
            _remove(self.pods, key, pod.uid)

    def _forget_hint(self, view: JobView | PodView) -> None:
        hints = self.hints.get(view.run_key, {})
        hints.pop(view.uid, None)
        if not hints:
            self.hints.pop(view.run_key, None)


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
