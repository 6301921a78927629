"""What the watches have shown, by run. Invariant: never newer than the server, never overwritten by something older."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trainingrun.api.run import Run
from trainingrun.domain.observe import JobView, PodView


class Cache:
    """Runs, Jobs and Pods, plus what is known about attempts in flight."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.jobs: dict[str, dict[str, JobView]] = {}
        self.pods: dict[str, dict[str, PodView]] = {}
        self.progress: dict[str, Mapping[str, Any]] = {}
        self.hints: dict[str, dict[str, str]] = {}
        self._job_uids: dict[str, set[str]] = {}  # by run UID: every Job ever seen to be the run's own

    def put_run(self, run: Run) -> None:
        """Keep a run unless a newer version is known (resource versions of one object compare as numbers)."""
        known = self.runs.get(run.key)
        if known is None or known.uid != run.uid or _newer(run, known):
            self.runs[run.key] = run

    def drop_run(self, key: str, *, uid: str) -> None:
        """Forget a deleted run and everything about it, unless another one took its name."""
        known = self.runs.get(key)
        if known is None or known.uid != uid:
            return
        del self.runs[key]
        self.progress.pop(key, None)
        self.hints.pop(key, None)
        self._job_uids.pop(uid, None)
        self.jobs[key] = {k: job for k, job in self.jobs.pop(key, {}).items() if job.run_uid != uid}
        self.pods[key] = {k: pod for k, pod in self.pods.pop(key, {}).items() if pod.run_uid != uid}
        if not self.jobs[key]:
            del self.jobs[key]
        if not self.pods[key]:
            del self.pods[key]

    def put_job(self, job: JobView) -> None:
        """Keep a Job."""
        self.jobs.setdefault(job.run_key, {})[job.uid] = job
        if job.owner_uid == job.run_uid:
            self._job_uids.setdefault(job.run_uid, set()).add(job.uid)

    def drop_job(self, job: JobView) -> None:
        """Forget a deleted Job, and pods of it that were kept for their last word."""
        self.jobs.get(job.run_key, {}).pop(job.uid, None)
        pods = self.pods.get(job.run_key, {})
        for uid in [uid for uid, pod in pods.items() if pod.gone and pod.job_uid == job.uid]:
            del pods[uid]

    def put_pod(self, pod: PodView) -> None:
        """Keep a pod."""
        self.pods.setdefault(pod.run_key, {})[pod.uid] = pod

    def drop_pod(self, pod: PodView) -> None:
        """A removed pod keeps its last word while its Job is there."""
        if pod.job_uid in self.jobs.get(pod.run_key, {}):
            self.put_pod(pod.departed())
        else:
            self.pods.get(pod.run_key, {}).pop(pod.uid, None)

    def jobs_of(self, run: Run) -> tuple[JobView, ...]:
        """Jobs whose controller is this very run; a label alone proves nothing."""
        return tuple(j for j in self.jobs.get(run.key, {}).values() if j.run_uid == run.uid == j.owner_uid)

    def pods_of(self, run: Run) -> tuple[PodView, ...]:
        """Pods whose controller is or was a Job of this very run."""
        jobs = self._job_uids.get(run.uid, set())
        return tuple(p for p in self.pods.get(run.key, {}).values() if p.run_uid == run.uid and p.job_uid in jobs)

    def prune(self, *, runs: Iterable[Run], jobs: Iterable[JobView], pods: Iterable[PodView]) -> None:
        """Take a full listing as the truth: what it lacks was deleted while no watch was looking."""
        alive_jobs, alive_pods = {j.uid for j in jobs}, {p.uid for p in pods}
        for job in [j for table in self.jobs.values() for j in table.values() if j.uid not in alive_jobs]:
            self.drop_job(job)
        for pod in [p for t in self.pods.values() for p in t.values() if p.uid not in alive_pods and not p.gone]:
            self.drop_pod(pod)
        alive_runs = {run.key: run.uid for run in runs}
        for key, run in list(self.runs.items()):
            if alive_runs.get(key) != run.uid:
                self.drop_run(key, uid=run.uid)


def _newer(new: Run, old: Run) -> bool:
    try:
        return int(new.resource_version) >= int(old.resource_version)
    except ValueError:
        return True
