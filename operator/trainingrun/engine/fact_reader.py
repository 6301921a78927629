"""What is known about one run when a decision is made, and reading what the decision asks for beyond that.

Invariant: what is remembered here may be lost at any time. Losing it costs a read, never a wrong decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainingrun.api.run import Run
from trainingrun.domain.decision import Decision
from trainingrun.domain.document import Document
from trainingrun.domain.observe import JobView, Observed
from trainingrun.engine.cache import Cache
from trainingrun.kube import objects
from trainingrun.kube.client import Api


class FactReader:
    """The facts of one run: those of the watches, its document, and specs of Jobs that are not in its status."""

    def __init__(self, api: Api, cache: Cache) -> None:
        self._api, self._cache = api, cache
        self._known = Document("", fresh=False)  # counts while it has the digest in the status
        self._read: Document | None = None  # during this reconcile
        self._specs: dict[str, Mapping[str, Any]] = {}

    def begin(self) -> None:
        """Start a reconcile: whatever was read before may have changed."""
        self._read = None

    def observe(self, run: Run) -> Observed:
        """Return what is known now, without reading anything."""
        known = self._known if self._known.digest == run.status.get("resolvedDigest") else None
        return Observed(
            find_run=self._cache.runs.get,
            jobs=self._cache.jobs_of(run),
            lingering=self._cache.pods_of(run),
            progress=self._cache.progress.get(run.key, {}),
            hints=self._cache.hints.get(run.key, {}),
            document=self._read or known,
            specs=self._specs,
            known_text=(known and known.text) or "",
        )

    async def read(self, run: Run, decision: Decision) -> bool:
        """Read what the decision asks for; return whether that is anything new."""
        if decision.read_document and self._read is None:
            await self.read_document(run)
            return True
        for job in decision.read_jobs:
            spec = await objects.read_job_spec(self._api, namespace=run.namespace, name=job.name, uid=job.uid)
            if spec is None:
                self._cache.drop_job(job)
            else:
                self._specs[job.uid] = spec
        return bool(decision.read_jobs)

    async def read_document(self, run: Run) -> None:
        """Read the run's ConfigMap."""
        text = await objects.read_resolved(self._api, namespace=run.namespace, name=run.name, uid=run.uid)
        self._read = Document(text)
        if text is not None and self._known.digest != run.status.get("resolvedDigest"):
            self._known = Document(text, fresh=False)

    def wrote_document(self, text: str) -> None:
        """Remember the text of the ConfigMap that was written."""
        self._known = Document(text, fresh=False)

    def created_job(self, job: JobView, *, spec: Mapping[str, Any]) -> None:
        """Remember a Job that was created, in case the status patch is lost."""
        self._specs = {job.uid: spec}
