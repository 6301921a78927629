"""What is known about a run when a decision is made, and reading what the decision asks for beyond that."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from trainingrun.api import conditions
from trainingrun.api.clock import SYSTEM, Clock
from trainingrun.api.run import Run
from trainingrun.domain.decision import Decision
from trainingrun.domain.document import Document
from trainingrun.domain.observe import JobView, Observed, PodView
from trainingrun.domain.refused_child import RefusedChild
from trainingrun.engine.cache import Cache
from trainingrun.engine.memory import Memories
from trainingrun.engine.node_reader import NodeReader
from trainingrun.kube import objects
from trainingrun.kube.client import Api
from trainingrun.kube.errors import KubeError

log = logging.getLogger(__name__)


class FactReader:
    """Joins what the watches show with a run's document, and with specs of Jobs that are not in its status."""

    def __init__(self, api: Api, *, cache: Cache, memories: Memories, nodes: NodeReader, clock: Clock = SYSTEM) -> None:
        self._api, self._cache, self._memories, self._nodes = api, cache, memories, nodes
        self._clock = clock

    def begin(self, run: Run) -> None:
        """Start a reconcile: whatever was read before may have changed, and Jobs of others come and go."""
        memory = self._memories.of(run)
        memory.document, memory.pods_read = None, False
        if conditions.is_true(run.status.get("conditions", []), conditions.FINISHED):
            memory.text = ""  # no attempt is made from it any more, and there are many finished runs
        known = {job.uid for job in self._cache.jobs_of(run)}
        memory.specs = {uid: spec for uid, spec in memory.specs.items() if uid in known}

    def observe(self, run: Run, *, refused: RefusedChild | None = None) -> Observed:
        """Return what is known now, without reading anything; `refused` is a child that could not be created."""
        memory = self._memories.of(run)
        known = Document(memory.text, fresh=False)
        is_accepted = known.digest == run.status.get("resolvedDigest")
        return Observed(
            find_run=self._cache.find,
            jobs=self._cache.jobs_of(run),
            lingering=self._cache.pods_of(run),
            progress=self._cache.progress.get(run.key, {}),
            hints=self._cache.hints.get(run.key, {}),
            crowd=self._cache.crowds.of(run.namespace),
            board_lost=run.uid in self._cache.lost_boards,
            neighbours=partial(self._cache.runs_of, run.namespace),
            nodes=self._nodes.known,
            document=memory.document or (known if is_accepted else None),
            specs=memory.specs,
            refused=refused,
            known_text=memory.text if is_accepted else "",
        )

    async def read(self, run: Run, decision: Decision) -> bool:
        """Read what the decision asks for; return whether that is anything new."""
        memory = self._memories.of(run)
        if decision.read_document and memory.document is None:
            await self.read_document(run)
            return True
        if decision.read_pods and not memory.pods_read:
            await self._read_pods(run)
            return True
        for job in decision.read_jobs:
            spec = await objects.read_job_spec(self._api, namespace=run.namespace, name=job.name, uid=job.uid)
            if spec is None:
                self._cache.drop_job(job)
            else:
                memory.specs[job.uid] = spec
        unread = set(decision.read_warnings) - memory.warnings_read_at.keys()  # a restart takes back no cause
        news = bool(unread) and await self.read_warnings(run, decision.read_warnings)
        return news or bool(decision.read_jobs)

    async def read_warnings(self, run: Run, uids: list[str]) -> bool:
        """Read the newest warning Event of objects that do not start, those that are due; forget those that are gone.

        A watch that has missed a deletion in a gap does not show that it lists again, if it finds nothing then.
        Returns whether there is news. What cannot be read holds nothing up.
        """
        found, memory, now = False, self._memories.of(run), self._clock.monotonic()
        for uid in memory.warnings_to_read(uids, now=now):
            try:
                found |= memory.may_be_gone(uid, now=now) and await self._drop_if_gone(run, uid)
                hint = await objects.newest_warning(self._api, namespace=run.namespace, uid=uid)
            except KubeError as error:
                log.info("%s: no warnings about %s: %s", run.key, uid, error)
                continue
            found |= self._cache.put_hint(run, uid, hint)
        return found

    async def _drop_if_gone(self, run: Run, uid: str) -> bool:
        """Forget a Job or pod of the run that the server does not have; return whether it is gone."""
        for pod in self._cache.pods_of(run):
            if pod.uid == uid and not pod.gone and not await self._exists("Pod", pod):
                self._cache.drop_missing_pod(pod)
                return True
        for job in self._cache.jobs_of(run):
            if job.uid == uid and not await self._exists("Job", job):
                self._cache.drop_job(job)
                return True
        return False

    async def _exists(self, kind: str, view: JobView | PodView) -> bool:
        return await objects.exists(self._api, kind, namespace=view.namespace, name=view.name, uid=view.uid)

    async def read_document(self, run: Run) -> None:
        """Read the run's ConfigMap."""
        text = await objects.read_resolved(self._api, namespace=run.namespace, name=run.name, uid=run.uid)
        memory = self._memories.of(run)
        memory.document = Document(text)
        if text is not None and Document(memory.text).digest != run.status.get("resolvedDigest"):
            memory.text = text

    async def _read_pods(self, run: Run) -> None:
        """Read the run's pods: the server knows of a pod before it can start, and the watch only afterwards."""
        known = self._cache.pods_of(run)
        found = objects.list_all(self._api, "Pod", namespace=run.namespace, run_uid=run.uid)
        pods = [PodView.from_object(body) async for body in found]
        self._cache.put_pods_of_run(run, known, [pod for pod in pods if pod is not None])
        self._memories.of(run).pods_read = True

    def wrote_document(self, run: Run, text: str) -> None:
        """Remember the text of the ConfigMap that was written."""
        self._memories.of(run).text = text

    def created_job(self, run: Run, job: JobView, *, spec: Mapping[str, Any]) -> None:
        """Remember a Job that was created, in case the status patch is lost."""
        self._memories.of(run).specs = {job.uid: spec}
