"""Uploads complete checkpoints while training runs.

Invariant: a checkpoint is hard-linked into spool/ before its upload starts, so that TensorFlow cannot delete it
meanwhile. Data files are uploaded first, then the index, then the manifest. If uploads are too slow, the queue drops
checkpoints. `collect` is called from one thread, `ship` from another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from trainingrun_agent.clock import rfc3339
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import IntegrityError
from trainingrun_agent.keys import Attempt
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder, UnsafeFileError
from trainingrun_agent.shared.trainer_documents import Ready, read_ready, ready_steps
from trainingrun_agent.storage import manifest as manifests
from trainingrun_agent.storage.epochs import require_newest
from trainingrun_agent.storage.manifest import Manifest, ManifestObject, Producer
from trainingrun_agent.transfer.resume import StoredCheckpoint
from trainingrun_agent.transfer.upload_queue import UploadQueue

MAX_FILE_BYTES = 16 << 30

_log = logging.getLogger(__name__)


class CheckpointShipper:
    """`newest` is the newest complete checkpoint in the bucket, at first the one that training resumed from.

    `before_manifest` is called before each manifest is written, `on_shipped` with each checkpoint once it is.
    """

    def __init__(
        self,
        context: StageContext,
        attempt: Attempt,
        folder: Folder,
        *,
        newest: StoredCheckpoint | None,
        on_shipped: Callable[[StoredCheckpoint], None],
        before_manifest: Callable[[], None] = lambda: None,
        queue: UploadQueue | None = None,
    ) -> None:
        self._store, self._attempt, self._folder = context.out, attempt, folder
        self._pod_uid, self._clock = context.config.pod_uid, context.clock
        # Before each manifest: a pod that was replaced publishes nothing.
        self._before_publishing = partial(require_newest, self._store, context.config.resolved.run_keys, attempt.epoch)
        self._on_shipped, self._before_manifest = on_shipped, before_manifest
        self.newest = newest
        self._seen = newest.step if newest else -1
        self._refused: set[int] = set()
        self._queue = queue or UploadQueue()

    def collect(self) -> bool:
        """Link the newest checkpoint that became ready since the last call into spool/; False if there is none.

        An older one is collected too if the queue would not drop it.
        """
        new = [step for step in ready_steps(self._folder) if step > self._seen and step not in self._refused]
        newest = next(filter(None, (self._spooled(step) for step in reversed(new))), None)
        if newest is None:
            return False
        older = [step for step in new if step < newest.step]
        protected = self._queue.protected() if older else ()
        for ready in filter(None, (self._spooled(step) for step in older if step in protected)):
            self._put(ready)
        self._seen = newest.step
        self._put(newest)
        return True

    def ship(self) -> None:
        """Upload the waiting checkpoints, and those that are collected meanwhile."""
        while (ready := self._queue.take()) is not None:
            try:
                self._upload(ready)
            except (UnsafeFileError, IntegrityError, FileNotFoundError) as error:
                _log.warning("checkpoint of step %d was not uploaded: %s", ready.step, error)
            finally:
                self._forget(ready.step)

    def _spooled(self, step: int) -> Ready | None:
        """The checkpoint of `step`, now in spool/; None if it cannot be used, which is found only once."""
        ready = read_ready(self._folder, step)
        if ready is None or not self._spool(ready):
            self._refused.add(step)
            return None
        return ready

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

    def _put(self, ready: Ready) -> None:
        for dropped in self._queue.put(ready):
            _log.info("checkpoint of step %d is not uploaded, the one of step %d is newer", dropped.step, ready.step)
            self._forget(dropped.step)

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
        self._before_manifest()
        self._before_publishing()
        manifests.write(self._store, target, manifest)
        shipped = StoredCheckpoint(ready.step, self._attempt.epoch, target)
        if self.newest is None or shipped.step > self.newest.step:
            self.newest = shipped
        self._on_shipped(shipped)

    def _upload_file(self, source: Folder, name: str, size: int, target: str) -> ManifestObject:
        with source.reading(name, max_bytes=MAX_FILE_BYTES) as (file, found):
            if found != size:
                raise UnsafeFileError(f"{name} has {found} bytes, its ready file says {size}")
            sha256 = self._store.upload(f"{target}/{name}", file, size=size)
        return ManifestObject(name, size, sha256, "index" if name.endswith(".index") else "data")

    def _forget(self, step: int) -> None:
        with suppress(UnsafeFileError, FileNotFoundError), self._folder.sub(names.SPOOL) as spool:
            spool.remove_sub(f"{step:08d}")
