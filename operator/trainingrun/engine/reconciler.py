"""Observe, plan, apply: the only place that joins decisions with the API.

Order of writes: children, deletions, one status patch with resourceVersion, deletions of Jobs whose results the status
now holds, Events. When the process dies between any two of them, the next reconcile completes them.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from trainingrun.api import reasons
from trainingrun.api.names import RESOLVED_KEY, Phase
from trainingrun.api.reason import Step
from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.api.status import Status
from trainingrun.domain.decision import Child, Decision
from trainingrun.domain.draft import Draft
from trainingrun.domain.next_step import NextStep
from trainingrun.domain.observe import JobView
from trainingrun.domain.plan import plan
from trainingrun.domain.texts import sentences
from trainingrun.engine import metrics
from trainingrun.engine.cache import Cache
from trainingrun.engine.fact_reader import FactReader
from trainingrun.engine.progress_puller import ProgressPuller
from trainingrun.engine.workqueue import WorkQueue
from trainingrun.kube import objects
from trainingrun.kube.client import Api
from trainingrun.kube.errors import ConflictError, KubeError, NotFoundError, RefusedError
from trainingrun.kube.events import Recorder

HEARTBEAT: Final = ""  # a key that no object has: handling it proves that the queue is served
STATUS_SECONDS: Final = 5.0  # between two writes of progress alone
READ_WARNINGS_SECONDS: Final = 6.0
REFUSED_SECONDS: Final = 60.0
_FAST_MOVING: Final = ("progress", "training", "message")
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Memory:
    """Facts about one run that may be lost at any time: losing them costs a read or a write, never a wrong decision."""

    uid: str
    facts: FactReader
    patched_at: float = -math.inf
    warnings_read_at: dict[str, float] = field(default_factory=dict)  # by UID of the object that does not start


class Reconciler:
    """Handles one key at a time; safe to call for any key at any moment."""

    def __init__(
        self,
        api: Api,
        *,
        cache: Cache,
        queue: WorkQueue,
        puller: ProgressPuller,
        settings: Settings,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api, self._cache, self._queue, self._puller = api, cache, queue, puller
        self._settings, self._now = settings, now
        self._recorder = Recorder(api)
        self._memories: dict[str, _Memory] = {}
        self.heartbeat = time.monotonic()

    async def handle(self, key: str) -> None:
        """Reconcile one key; failures are logged, counted and retried later."""
        if key == HEARTBEAT:
            self.heartbeat = time.monotonic()
            return
        started = time.perf_counter()
        try:
            await self._reconcile(key)
        except ConflictError:
            self._queue.add_after(key, self._queue.retry_after(key))  # the watch brings the newer version
            metrics.RECONCILES.labels("conflict").inc()
        except KubeError as error:
            wait = error.retry_after or self._queue.retry_after(key)
            log.warning("%s: %s; retrying in %.0f s", key, error, wait)
            self._queue.add_after(key, wait)
            metrics.RECONCILES.labels("error").inc()
        except Exception:
            # One bad object must never stop the others.
            log.exception("%s: unexpected error while reconciling", key)
            self._queue.add_after(key, self._queue.retry_after(key))
            metrics.RECONCILES.labels("exception").inc()
        else:
            self._queue.forget(key)
            metrics.RECONCILES.labels("ok").inc()
        metrics.RECONCILE_SECONDS.observe(time.perf_counter() - started)

    async def _reconcile(self, key: str) -> None:
        run = self._cache.runs.get(key)
        if run is None or run.deleting:
            self._puller.watch(key, None)
            self._cache.forget_attempts(key)
            self._memories.pop(key, None)
            return
        facts = self._memory(run).facts
        facts.begin()
        try:
            await self._apply(run, await self._decide(run))
        except objects.OtherDocumentError:
            await facts.read_document(run)
            await self._apply(run, await self._decide(run))

    def _memory(self, run: Run) -> _Memory:
        known = self._memories.get(run.key)
        if known is None or known.uid != run.uid:
            known = self._memories[run.key] = _Memory(run.uid, FactReader(self._api, self._cache))
        return known

    async def _decide(self, run: Run) -> Decision:
        """Plan with what is known; when the plan asks for more, read it and plan again."""
        facts = self._memory(run).facts
        while True:
            decision = plan(run, facts.observe(run), settings=self._settings, now=self._now())
            if not await facts.read(run, decision):
                return decision

    async def _apply(self, run: Run, decision: Decision) -> None:
        try:
            for body in decision.create:
                await self._create(run, body, decision)
        except objects.ForeignObjectError as error:
            await self._show_rejection(run, error)
            raise
        except RefusedError as error:
            if error.status == 403:  # rights, quota or an admission policy: may change
                await self._show_rejection(run, error)
                raise
            message = f"The API server rejected an object of this run: {error}"
            step = NextStep(Step.NEW_RUN, reasons.CHILD_REFUSED.hint)
            decision.draft.fail(reason=reasons.CHILD_REFUSED, message=message, step=step)
        await self._create_optional(run, decision)
        for child in decision.delete:
            await self._delete(run, child)
        if decision.delete_run:
            await self._delete(run, Child("TrainingRun", run.name, run.uid))
            return
        written = await self._write_status(run, decision)
        for child in decision.delete_after_status if written else ():
            await self._delete(run, child)
        for event in decision.draft.events if written else ():
            await self._recorder.emit(run, event, now=decision.draft.now_text)
        self._puller.watch(run.key, decision.pull_progress)
        await self._read_warnings(run, decision.read_warnings)
        if decision.requeue_after is not None:
            self._queue.add_after(run.key, decision.requeue_after)

    async def _create(self, run: Run, body: Mapping[str, Any], decision: Decision) -> None:
        made = await objects.create(self._api, body)
        facts = self._memory(run).facts
        if body["kind"] == "ConfigMap":
            facts.wrote_document(body["data"][RESOLVED_KEY])
        job = JobView.from_object(made) if body["kind"] == "Job" else None
        if job is not None:
            decision.draft.record_job(job.stage, job.uid)
            facts.created_job(job, spec=body["spec"])
            self._cache.put_job(job)
            self._cache.progress.pop(run.key, None)
            metrics.ATTEMPTS.labels(str(job.stage)).inc()
            log.info("%s: created Job %s", run.key, job.name)

    async def _create_optional(self, run: Run, decision: Decision) -> None:
        try:
            for body in decision.create_optional:
                await self._create(run, body, decision)
        except (RefusedError, objects.ForeignObjectError) as error:
            decision.draft.status.pop("tensorboard", None)  # not created, so the next reconcile tries again
            message = sentences(f"The run continues without TensorBoard: {error}", reasons.TENSORBOARD_REFUSED.hint)
            decision.draft.add_event(reasons.TENSORBOARD_REFUSED, message, warning=True)
            decision.requeue(after=REFUSED_SECONDS)

    async def _delete(self, run: Run, child: Child) -> None:
        where = {"namespace": run.namespace, "name": child.name}
        if child.uid:
            await objects.delete(self._api, child.kind, **where, uid=child.uid)
        else:
            await objects.delete_owned(self._api, child.kind, **where, owner_uid=run.uid)

    async def _show_rejection(self, run: Run, error: KubeError) -> None:
        draft = Draft(run, self._now())
        message = f"The API server rejected an object of this run; trying again: {error}"
        draft.show(Phase(run.status.get("phase", Phase.PENDING)), message=message)
        await self._write_status(run, Decision(draft=draft))

    async def _write_status(self, run: Run, decision: Decision) -> bool:
        """Patch the status if it changed; return False when the write was postponed."""
        wanted, held = decision.draft.status, run.status
        changes = _merge_patch(wanted, held)
        if not changes:
            return True
        memory = self._memory(run)
        waited = time.monotonic() - memory.patched_at
        slow_moving = not _only_fast_moving(changes, wanted=wanted, held=held)
        urgent = slow_moving or decision.draft.events or decision.delete_after_status
        if not urgent and waited < STATUS_SECONDS:
            self._queue.add_after(run.key, STATUS_SECONDS - waited)
            return False
        try:
            answer = await objects.patch_status(
                self._api,
                namespace=run.namespace,
                name=run.name,
                resource_version=run.resource_version,
                status=changes,
            )
        except NotFoundError:
            return False
        memory.patched_at = time.monotonic()
        self._cache.put_run(Run.from_object(answer))
        return True

    async def _read_warnings(self, run: Run, uids: list[str]) -> None:
        """Read the newest warning Event of objects that do not start, at most once in a few seconds each."""
        warnings_read_at = self._memory(run).warnings_read_at
        for uid in uids:
            moment = time.monotonic()
            if moment - warnings_read_at.get(uid, -math.inf) < READ_WARNINGS_SECONDS:
                continue
            warnings_read_at[uid] = moment
            hint = await objects.newest_warning(self._api, namespace=run.namespace, uid=uid)
            if hint and self._cache.hints.setdefault(run.key, {}).get(uid) != hint:
                self._cache.hints[run.key][uid] = hint
                self._queue.add(run.key)


def _merge_patch(wanted: Mapping[str, object], held: Mapping[str, object]) -> dict[str, object]:
    """Merge patch from one status to another; its lists and objects are replaced as a whole."""
    changes = {key: _replacement(value, held.get(key)) for key, value in wanted.items() if held.get(key) != value}
    removed: dict[str, object] = {key: None for key in held if key not in wanted}
    return changes | removed


def _replacement(value: object, old: object) -> object:
    if not isinstance(value, dict) or not isinstance(old, dict):
        return value
    return {**{key: None for key in old if key not in value}, **value}


def _only_fast_moving(changes: Mapping[str, object], *, wanted: Status, held: Status) -> bool:
    if any(key not in _FAST_MOVING for key in changes):
        return False
    same_stage = wanted.get("progress", {}).get("stage") == held.get("progress", {}).get("stage")
    new, old = wanted.get("training", {}), held.get("training", {})
    return same_stage and new.get("checkpointStep") == old.get("checkpointStep")
