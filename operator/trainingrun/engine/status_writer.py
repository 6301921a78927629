"""Write the status of runs: one merge patch with resourceVersion, only if it changed, its texts made plain.

Invariant: after a status was not stored, nothing else is done for the run until one is. What the lost status would have
recorded about objects is written first, so that each Job that was created counts, also one that is gone meanwhile, and
a TensorBoard that was created or deleted is known.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from trainingrun.api import reasons
from trainingrun.api.clock import SYSTEM, Clock
from trainingrun.api.names import Phase, Stage
from trainingrun.api.run import Run
from trainingrun.api.status import Status
from trainingrun.domain import lasting
from trainingrun.domain.draft import MAX_CAUSE, BeforeEnd, Draft, Event
from trainingrun.domain.texts import cut, sentences
from trainingrun.engine import ledger
from trainingrun.engine.cache import Cache
from trainingrun.engine.memory import Memories, Unwritten
from trainingrun.engine.workqueue import WorkQueue
from trainingrun.kube import objects
from trainingrun.kube.client import Api
from trainingrun.kube.errors import KubeError, RefusedError
from trainingrun.kube.events import Recorder
from trainingrun.plain_text import plain_document

STATUS_SECONDS: Final = 5.0  # between two writes of progress alone
PASSING_SECONDS: Final = 3.0  # what an attempt waits for is written when it has lasted
_ABOUT_OBJECTS: Final = ("attempts", "tensorboard")
_FAST_MOVING: Final = frozenset({"progress", "dataset", "training", "message"})
log = logging.getLogger(__name__)


class RunGoneError(Exception):
    """The server no longer has the run: nothing more is done for it."""


class StatusWriter:
    """Writes statuses, and takes the server's answers into the cache."""

    def __init__(
        self,
        api: Api,
        *,
        cache: Cache,
        queue: WorkQueue,
        memories: Memories,
        recorder: Recorder,
        clock: Clock = SYSTEM,
    ) -> None:
        self._api, self._cache, self._queue = api, cache, queue
        self._memories, self._recorder, self._clock = memories, recorder, clock

    async def write(self, run: Run, draft: Draft, *, urgent: bool) -> bool:
        """Patch the status if it changed; return False when the write was postponed, as progress alone may be."""
        status, held = plain_document(draft.status), run.status
        changes = _merge_patch(status, held)
        if not changes:
            return True
        waited = self._clock.monotonic() - self._memories.of(run).patched_at
        if not urgent and waited < (pause := _pause(changes, wanted=status, held=held)):
            self._queue.add_after(run.key, pause - waited)
            return False
        unwritten = Unwritten(_about_objects(held), _begun_objects(status, held, before_end=draft.before_end))
        await self._patch_or_explain(run, changes, unwritten)
        self._queue.add(run.key)  # the watch shows this version again, which is no news
        return True

    async def recover(self, run: Run) -> Run:
        """Write what a status that was not stored would have recorded about objects; return the run as stored."""
        unwritten = self._memories.of(run).unwritten
        if unwritten is None:
            return run
        unchanged = _about_objects(run.status) == unwritten.stored
        # An empty patch changes nothing, and shows whether the server has the run and takes its status.
        concerned = unwritten.wanted.keys() | unwritten.stored.keys()
        held = {key: value for key, value in run.status.items() if key in concerned}
        changes = _merge_patch(unwritten.wanted, held) if unchanged else {}
        return await self._patch_or_explain(run, changes, unwritten)

    async def _patch_or_explain(self, run: Run, changes: Mapping[str, object], unwritten: Unwritten) -> Run:
        memory = self._memories.of(run)
        memory.unwritten = unwritten
        try:
            stored = await self._patch(run, changes)
        except RefusedError as error:
            await self._explain(run, error)
            raise
        memory.unwritten, memory.refusal = None, ""
        memory.refused_since.pop(reasons.STATUS_REFUSED.name, None)
        return stored

    async def _patch(self, run: Run, changes: Mapping[str, object]) -> Run:
        if not self._cache.holds(run):
            raise RunGoneError(run.key)
        try:
            answer = await objects.patch_status(
                self._api,
                namespace=run.namespace,
                name=run.name,
                resource_version=run.resource_version,
                status=changes,
            )
        except objects.GoneError:
            self._cache.drop_run(run.key, uid=run.uid)  # its deletion was missed, or is not known yet
            raise RunGoneError(run.key) from None
        stored = Run.from_object(answer)
        ledger.account(self._memories.of(run), stored)
        if not self._cache.holds(run):  # it was deleted after this answer was made
            raise RunGoneError(run.key)
        self._memories.of(run).patched_at = self._clock.monotonic()
        self._cache.put_run(stored)
        return stored

    async def _explain(self, run: Run, error: RefusedError) -> None:
        """Show why the server does not store the status: as the message alone, or at least as an Event."""
        words = cut(error.words, MAX_CAUSE)
        message = sentences(f"The API server refuses the status of this run: {words}", reasons.STATUS_REFUSED.hint)
        memory = self._memories.of(run)
        if memory.refusal != words:
            memory.refusal = words
            fields = {"run": run.key, "reason": reasons.STATUS_REFUSED.name}
            log.warning("%s: its status is refused: %s", run.key, words, extra={"fields": fields})
        draft = Draft(run, self._clock.now())
        draft.show(
            Phase(run.status.get("phase", Phase.PENDING)),
            message=message,
            text=f"waiting ({reasons.STATUS_REFUSED.name})",
        )
        changes = _merge_patch(plain_document(draft.status), run.status)
        try:
            if changes:
                await self._patch(run, changes)
        except KubeError as still:
            log.info("%s: the refusal cannot be shown in the status: %s", run.key, still)
            reason, now = reasons.STATUS_REFUSED.name, self._clock.monotonic()
            if not self._memories.of(run).lasts(reason, now=now, seconds=lasting.LASTS_SECONDS):
                return
            self._recorder.emit(run, Event("Warning", reasons.STATUS_REFUSED.name, message), now=draft.now_text)


def _about_objects(status: Mapping[str, object]) -> dict[str, object]:
    return {key: status[key] for key in _ABOUT_OBJECTS if key in status}


def _begun_objects(status: Status, held: Status, *, before_end: Mapping[Stage, BeforeEnd]) -> dict[str, object]:
    """What the status records about objects that were begun; the end of an attempt before them has its costs.

    The end of the last attempt of a stage counts only together with its results, which are not stored.
    """
    known = {entry["stage"]: entry for entry in held.get("attempts", [])}
    found, attempts = _about_objects(status), []
    for entry in status.get("attempts", []):
        old, training = known.get(entry["stage"]), status.get("training", {})
        if old is not None and entry.get("number", 0) <= old.get("number", 0):
            attempts.append(old)
            continue
        begun, stage = entry, Stage(entry["stage"])
        if entry.get("number", 0) > entry.get("ended", 0):
            if held.get("progress", {}).get("stage") == stage:  # it is that of the attempt before
                found |= {key: status[key] for key in ("message", "progress") if key in status}
        elif stage in before_end:
            begun, training = before_end[stage]
            begun, training = plain_document(begun), plain_document(training)
        attempts.append(begun)
        if stage is Stage.TRAIN and training:
            found["training"] = training
    return {**found, "attempts": attempts} if attempts else found


def _merge_patch(wanted: Mapping[str, object], held: Mapping[str, object]) -> dict[str, object]:
    """Merge patch from one status to another; its lists and objects are replaced as a whole."""
    changes = {key: _replacement(value, held.get(key)) for key, value in wanted.items() if held.get(key) != value}
    removed: dict[str, object] = {key: None for key in held if key not in wanted}
    return changes | removed


def _replacement(value: object, old: object) -> object:
    if not isinstance(value, dict) or not isinstance(old, dict):
        return value
    return {**{key: None for key in old if key not in value}, **value}


def _pause(changes: Mapping[str, object], *, wanted: Status, held: Status) -> float:
    """Seconds since the last write before these changes are written: most only say how an attempt starts or works."""
    same_stage = wanted.get("progress", {}).get("stage") == held.get("progress", {}).get("stage")
    new, old = wanted.get("training", {}), held.get("training", {})
    if not same_stage or new.get("checkpointStep") != old.get("checkpointStep"):
        return 0.0
    if changes.keys() <= _FAST_MOVING:
        return STATUS_SECONDS
    return PASSING_SECONDS if _only_starts(changes, wanted=wanted, held=held) else 0.0


def _only_starts(changes: Mapping[str, object], *, wanted: Status, held: Status) -> bool:
    """Whether only the words about a wait change, or that the attempt in flight has begun to work."""
    states = [[(c["type"], c["status"]) for c in status.get("conditions", [])] for status in (wanted, held)]
    same = states[0] == states[1] and _without_start(wanted) == _without_start(held)
    return same and changes.keys() <= _FAST_MOVING | {"conditions", "attempts"}


def _without_start(status: Status) -> list[dict[str, object]]:
    return [{key: value for key, value in entry.items() if key != "ranAt"} for entry in status.get("attempts", [])]
