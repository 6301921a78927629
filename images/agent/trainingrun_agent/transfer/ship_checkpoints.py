"""Uploads complete checkpoints while training runs.

Invariant: a checkpoint is hard-linked into spool/ before its upload starts, so that TensorFlow cannot delete it
meanwhile. Data files are uploaded first, then the index, then the manifest. If uploads are too slow, only the newest
waiting checkpoint and the best one are uploaded. `collect` is called from one thread, `ship` from another.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from trainingrun_agent.clock import Clock, rfc3339
from trainingrun_agent.errors import IntegrityError
from trainingrun_agent.keys import Attempt
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder, UnsafeFileError
from trainingrun_agent.shared.trainer_documents import Ready, read_ready, ready_steps
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.manifest import Manifest, ManifestObject, Producer
from trainingrun_agent.transfer.resume import StoredCheckpoint

MAX_FILE_BYTES = 16 << 30

_log = logging.getLogger(__name__)


class CheckpointShipper:
    """`newest` is the newest complete checkpoint in the bucket, at first the one that training resumed from.

    `before_publishing` is called before each manifest and may raise to prevent it. `best_step` is asked which
    checkpoint is the best one now; it is evaluated before a newer one is saved.
    """

    def __init__(
        self,
        store: ObjectStore,
        attempt: Attempt,
        folder: Folder,
        *,
        pod_uid: str,
        clock: Clock,
        newest: StoredCheckpoint | None,
        before_publishing: Callable[[], None],
        on_shipped: Callable[[int], None],
    ) -> None:
        self._store, self._attempt, self._folder = store, attempt, folder
        self._pod_uid, self._clock = pod_uid, clock
        self._before_publishing, self._on_shipped = before_publishing, on_shipped
        self.newest = newest
        self.best_step: Callable[[], int | None] = lambda: None
        self._seen = newest.step if newest else -1
        self._refused: set[int] = set()
        self._waiting: list[Ready] = []  # oldest first
        self._lock = threading.Lock()

    def collect(self) -> bool:
        """Link the newest checkpoint that became ready since the last call into spool/, and the best; False if none."""
        seen = self._seen
        new = [step for step in ready_steps(self._folder) if step > seen and step not in self._refused]
        best = self.best_step() if len(new) > 1 else None
        linked = best if best in new and self._link(best) else None
        for step in reversed(new):
            if step == linked or self._link(step):
                break
        return self._seen > seen

    def _link(self, step: int) -> bool:
        ready = read_ready(self._folder, step)
        if ready is None or not self._spool(ready):
            self._refused.add(step)
            return False
        self._seen = max(self._seen, step)
        self._queue(ready)
        return True

    def ship(self) -> None:
        """Upload the waiting checkpoints, then any newer one that was collected meanwhile."""
        while (ready := self._take()) is not None:
            try:
                self._upload(ready)
            except (UnsafeFileError, IntegrityError, FileNotFoundError) as error:
                _log.warning("checkpoint of step %d was not uploaded: %s", ready.step, error)
            finally:
                self._forget(ready.step)

    def _spool(self, ready: Ready) -> bool:
        try:
            with (
                self._folder.sub(names.MODEL) as model,
                self._folder.sub(names.SPOOL, create=True) as spool,
                spool.sub(f"{ready.step:08d}", create=True) as into,
            ):
                for name, _ in ready.files:
                    model.link(name, into)
        except (UnsafeFileError, FileNotFoundError) as error:
            _log.warning("checkpoint of step %d cannot be used: %s", ready.step, error)
            self._forget(ready.step)
            return False
        return True

    def _queue(self, ready: Ready) -> None:
        best = self.best_step() if self._waiting else None
        with self._lock:
            dropped = [one for one in self._waiting if one.step != best]
            self._waiting = [*(one for one in self._waiting if one.step == best), ready]
        for one in dropped:
            _log.info("checkpoint of step %d is not uploaded, the one of step %d is newer", one.step, ready.step)
            self._forget(one.step)

    def _take(self) -> Ready | None:
        with self._lock:
            return self._waiting.pop(0) if self._waiting else None

    def _upload(self, ready: Ready) -> None:
        target = self._attempt.checkpoint(ready.step)
        with self._folder.sub(names.SPOOL) as spool, spool.sub(f"{ready.step:08d}") as source:
            in_order = sorted(ready.files, key=lambda file: (file[0].endswith(".index"), file[0]))
            objects = tuple(self._upload_file(source, name, size, target) for name, size in in_order)
        manifest = Manifest(
            kind="checkpoint",
            producer=Producer(self._pod_uid, self._attempt.epoch),
            created=rfc3339(self._clock.now()),
            objects=objects,
            step=ready.step,
        )
        self._before_publishing()
        manifests.write(self._store, target, manifest)
        self.newest = StoredCheckpoint(ready.step, self._attempt.epoch, target)
        self._on_shipped(ready.step)

    def _upload_file(self, source: Folder, name: str, size: int, target: str) -> ManifestObject:
        with source.reading(name, max_bytes=MAX_FILE_BYTES) as (file, found):
            if found != size:
                raise UnsafeFileError(f"{name} has {found} bytes, its ready file says {size}")
            sha256 = self._store.upload(f"{target}/{name}", file, size=size)
        return ManifestObject(name, size, sha256, "index" if name.endswith(".index") else "data")

    def _forget(self, step: int) -> None:
        with suppress(UnsafeFileError, FileNotFoundError), self._folder.sub(names.SPOOL) as spool:
            spool.remove_sub(f"{step:08d}")
