"""Observe, plan, apply: the only place that joins decisions with the API.

Order of writes: children, deletions of TensorBoard, one status patch with resourceVersion, deletions of Jobs, which the
status now explains. Events follow by themselves. When the process dies in between, the next reconcile completes them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from trainingrun.api import reasons
from trainingrun.api.clock import SYSTEM, Clock, to_text
from trainingrun.api.names import RESOLVED_KEY
from trainingrun.api.run import Run
from trainingrun.api.settings import Settings
from trainingrun.domain import lasting
from trainingrun.domain.decision import Child, Decision
from trainingrun.domain.observe import JobView
from trainingrun.domain.plan import plan
from trainingrun.domain.refused_child import RefusedChild, deletion_refused, fail_as_invalid, without_tensorboard
from trainingrun.domain.tensorboard import stay_away
from trainingrun.engine import ledger, metrics
from trainingrun.engine.cache import Cache
from trainingrun.engine.fact_reader import FactReader
from trainingrun.engine.memory import Memories
from trainingrun.engine.node_reader import NodeReader
from trainingrun.engine.progress_puller import ProgressPuller
from trainingrun.engine.status_writer import RunGoneError, StatusWriter
from trainingrun.engine.workqueue import WorkQueue
from trainingrun.kube import field_paths, objects
from trainingrun.kube.client import Api
from trainingrun.kube.errors import ConflictError, InvalidError, KubeError, NotFoundError, RefusedError
from trainingrun.kube.events import Recorder

HEARTBEAT: Final = ""  # a key that no object has: handling it proves that the queue is served
UNPOSTED_SECONDS: Final = 1.0
_NO_REFUSAL: Final = (0, 429, 503)  # no answer, or one that is about the server and not about the object
log = logging.getLogger(__name__)


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
        clock: Clock = SYSTEM,
    ) -> None:
        self._api, self._cache, self._queue, self._puller = api, cache, queue, puller
        self._settings, self._clock = settings, clock
        self.recorder, self._memories = Recorder(api, clock=clock), Memories()
        self._nodes = NodeReader(api, allowed=settings.read_nodes, clock=clock)
        self._facts = FactReader(api, cache=cache, memories=self._memories, nodes=self._nodes, clock=clock)
        self._status = StatusWriter(
            api, cache=cache, queue=queue, memories=self._memories, recorder=self.recorder, clock=clock
        )
        self.heartbeat = self._clock.monotonic()

    async def handle(self, key: str) -> None:
        """Reconcile one key; failures are logged, counted and retried later."""
        if key == HEARTBEAT:
            self.heartbeat = self._clock.monotonic()
            return
        started = time.perf_counter()
        try:
            await self._reconcile(key)
        except ConflictError:
            self._queue.back_off(key)  # the watch brings the newer version
            metrics.RECONCILES.labels("conflict").inc()
        except KubeError as error:
            wait = self._queue.back_off(key, at_least=error.retry_after)
            log.warning("%s: %s; retrying in %.0f s", key, error, wait)
            metrics.RECONCILES.labels("error").inc()
        except Exception:
            # One bad object must never stop the others.
            log.exception("%s: unexpected error while reconciling", key)
            self._queue.back_off(key)
            metrics.RECONCILES.labels("exception").inc()
        else:
            self._queue.forget_failures(key)
            metrics.RECONCILES.labels("ok").inc()
        metrics.RECONCILE_SECONDS.observe(time.perf_counter() - started)

    def leave(self, key: str) -> None:
        """Forget a run that another operator serves now: what it does is not counted here, and progress grows old."""
        self._puller.watch(key, None)
        self._cache.forget_attempts(key)
        self._memories.forget(key)

    async def _reconcile(self, key: str) -> None:
        run = self._cache.find(key)
        if run is None or run.deleting:
            self._forget(key)
            return
        ledger.account(self._memories.of(run), run)
        try:
            run = await self._status.recover(run)
            await self._plan_and_apply(run)
        except RunGoneError:
            log.info("%s: deleted while it was reconciled", key)
            self._queue.add(key)

    async def _plan_and_apply(self, run: Run) -> None:
        self._facts.begin(run)
        try:
            await self._apply(run)
        except objects.OtherDocumentError:
            await self._facts.read_document(run)
            await self._apply(run)

    def _forget(self, key: str) -> None:
        self.leave(key)
        self._queue.forget(key)

    async def _decide(self, run: Run, *, refused: RefusedChild | None = None) -> Decision:
        """Plan with what is known, without a refused child; when the plan asks for more, read it and plan again."""
        while True:
            observed = self._facts.observe(run, refused=refused)
            decision = plan(run, observed, settings=self._settings, now=self._clock.now())
            if not await self._facts.read(run, decision):
                return decision

    async def _apply(self, run: Run) -> None:
        decision = await self._decide(run)
        refusal: KubeError | None = None
        for body in decision.create:
            try:
                await self._create(run, body, decision)
            except KubeError as error:
                if not _may_last(error):
                    raise
                if isinstance(error, InvalidError) and any(field_paths.is_in(body, field) for field in error.fields):
                    fail_as_invalid(decision.draft, body, words=error.words)
                else:
                    refusal, decision = error, await self._decide(run, refused=RefusedChild.of(body, error.words))
                break
        await self._create_optional(run, decision)
        await self._carry_out(run, decision)
        if refusal is not None:
            raise refusal

    async def _carry_out(self, run: Run, decision: Decision) -> None:
        """Write the status, then do what it explains."""
        draft = decision.draft
        if decision.delete_run:
            await self._expire(run)
            return
        refusal = await self._delete_all(run, decision.delete)
        if refusal is not None and "tensorboard" in run.status:
            draft.status["tensorboard"] = run.status["tensorboard"]  # it is still there
        later = decision.delete_after_status
        urgent = bool(later) or any(not event.wait_since for event in draft.events)
        written = await self._status.write(run, draft, urgent=urgent)
        self._puller.watch(run.key, decision.pull_progress)
        if decision.requeue_after is not None:
            self._queue.add_after(run.key, decision.requeue_after)
        if written:
            for event in draft.events:
                self.recorder.emit(run, event, now=draft.now_text)
            for key in decision.wake:
                self._queue.add(key)
            refusal = await self._delete_all(run, later) or refusal
        news = await self._facts.read_warnings(run, decision.read_warnings)
        pod = decision.read_nodes_for
        if pod is not None:
            news |= await self._nodes.read_for(pod)
        if news:
            self._queue.add(run.key)
        if refusal is not None:
            raise refusal

    async def _create(self, run: Run, body: Mapping[str, Any], decision: Decision) -> None:
        if not self._cache.holds(run):
            raise RunGoneError(run.key)
        made = await objects.create(self._api, body)
        if body["kind"] == "ConfigMap":
            self._facts.wrote_document(run, body["data"][RESOLVED_KEY])
        job = JobView.from_object(made) if body["kind"] == "Job" else None
        if job is not None:
            decision.draft.record_job(job.stage, job.uid)
            self._facts.created_job(run, job, spec=body["spec"])
            self._cache.put_created_job(job)
            self._cache.progress.pop(run.key, None)
            fields = {"run": run.key, "stage": job.stage.value, "attempt": job.attempt}
            log.info("%s: created Job %s", run.key, job.name, extra={"fields": fields})

    async def _create_optional(self, run: Run, decision: Decision) -> None:
        """Create what the run continues without; after a failure, remove it again and wait for a while."""
        made: list[Child] = []
        try:
            for body in decision.create_optional:
                await self._create(run, body, decision)
                made.append(Child(body["kind"], body["metadata"]["name"]))
            if made:
                self._cache.lost_boards.discard(run.uid)
        except KubeError as error:
            fields = {"run": run.key, "reason": reasons.TENSORBOARD_REFUSED.name}
            log.warning("%s: TensorBoard is refused: %s", run.key, error.words, extra={"fields": fields})
            message = without_tensorboard(error.words)
            stay_away(decision, reasons.TENSORBOARD_REFUSED, message, remove=made, warning=True)

    async def _expire(self, run: Run) -> None:
        """Delete a run whose end is stored, once its Events are out."""
        if not self.recorder.is_done(run):
            self._queue.add_after(run.key, UNPOSTED_SECONDS)
            return
        try:
            await objects.delete_unchanged(self._api, run)
        except RefusedError as error:
            self._report_refused_deletion(run, "TrainingRun", run.name, error)
            raise

    def _report_refused_deletion(self, run: Run, kind: str, name: str, error: RefusedError) -> None:
        """Emit an Event about what has to go and stays, once that lasts."""
        event = deletion_refused(kind, name, words=error.words)
        if self._memories.of(run).lasts(event.reason, now=self._clock.monotonic(), seconds=lasting.LASTS_SECONDS):
            self.recorder.emit(run, event, now=to_text(self._clock.now()))

    async def _delete_all(self, run: Run, children: list[Child]) -> RefusedError | None:
        """Delete what can be deleted; return the refusal of what cannot."""
        refusal: RefusedError | None = None
        for child in children:
            try:
                await self._delete(run, child)
            except RefusedError as error:
                refusal = error
                self._report_refused_deletion(run, child.kind, child.name, error)
        if children and refusal is None:
            self._memories.of(run).refused_since.pop(reasons.DELETION_REFUSED.name, None)
        return refusal

    async def _delete(self, run: Run, child: Child) -> None:
        where = {"namespace": run.namespace, "name": child.name}
        if child.uid:
            await objects.delete(self._api, child.kind, **where, uid=child.uid)
            self._cache.note_deletion(run, child.uid)
        else:
            await objects.delete_owned(self._api, child.kind, **where, owner_uid=run.uid)


def _may_last(error: KubeError) -> bool:
    """Return whether a creation was refused for a reason that may last, so that the status has to show it."""
    if isinstance(error, ConflictError | NotFoundError):
        return False  # it was created or deleted meanwhile
    return isinstance(error, RefusedError | objects.ForeignObjectError) or error.status not in _NO_REFUSAL
