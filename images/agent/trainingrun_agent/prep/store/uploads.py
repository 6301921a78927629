"""Uploads of shards, in the background, while other shards are checked.

Invariant: a blob is named by its content, so that two preparations of the same data write the same objects.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

from trainingrun_agent.errors import IntegrityError
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.output.scratch_file import LocalFile
from trainingrun_agent.prep.store.dataset_folder import DatasetFolder
from trainingrun_agent.prep.store.previous import StoredShard
from trainingrun_agent.progress import Progress
from trainingrun_agent.reasons.storage import FILE_CHANGED_LOCALLY
from trainingrun_agent.stopping import raise_if_stopped
from trainingrun_agent.storage.folder_store import FolderStore
from trainingrun_agent.storage.manifest import RECORD_ROLES, ManifestObject
from trainingrun_agent.terms import Place

UPLOADS_AT_ONCE = 3


class Uploads:
    """Uploads shards, and removes them from scratch disk once they are uploaded. Close it when it is done."""

    def __init__(self, folder: DatasetFolder, progress: Progress) -> None:
        self._folder, self._progress = folder, progress
        self._pool = ThreadPoolExecutor(UPLOADS_AT_ONCE, "upload")
        self._lock = threading.Lock()
        self._done, self._total, self._shown = 0, 0, False

    def start(
        self,
        split: Split,
        shard: LocalFile | None,
        rows: LocalFile,
        *,
        same_records: ManifestObject | None,
        on_stored: Callable[[StoredShard], None],
    ) -> Future[StoredShard]:
        """Start uploading a shard and its rows; `same_records` is the shard if it is in the bucket already.

        `on_stored` is called by the thread that uploads them, once both are there. The future raises what storage
        raises.
        """
        with self._lock:
            self._total += rows.size + (shard.size if shard else 0)
        return self._pool.submit(self._upload, split, shard, rows, same_records, on_stored)

    def wait(self, futures: Iterable[Future[StoredShard]], stop: threading.Event) -> list[StoredShard]:
        """Wait for uploads and report their progress. Raises what storage raises, Interrupted."""
        self._shown = True
        self._on_bytes(0)
        stored = []
        for future in futures:
            raise_if_stopped(stop)
            stored.append(future.result())
        return stored

    def close(self) -> None:
        """Cancel the uploads that have not started, and wait for the others."""
        self._pool.shutdown(cancel_futures=True)

    def _upload(
        self,
        split: Split,
        shard: LocalFile | None,
        rows: LocalFile,
        same_records: ManifestObject | None,
        on_stored: Callable[[StoredShard], None],
    ) -> StoredShard:
        records = same_records
        if shard is not None:
            records = self._upload_blob(shard, RECORD_ROLES[split], "tfrecord", images=shard.images)
        stored = StoredShard(records, self._upload_blob(rows, f"{split}Rows", "rows.gz"))
        on_stored(stored)
        return stored

    def _upload_blob(
        self, file: LocalFile, role: str, suffix: Literal["tfrecord", "rows.gz"], *, images: int | None = None
    ) -> ManifestObject:
        store, keys, objects = self._folder.store, self._folder.keys, self._folder.objects
        key = keys.blob(file.sha256, suffix)
        if objects.has(key, size=file.size, sha256=file.sha256):
            self._on_bytes(file.size)
        elif isinstance(store, FolderStore) and store.take(key, file.path):
            self._on_bytes(file.size)
            objects.written(key)
        else:
            with file.path.open("rb") as opened:
                sent = store.upload(key, opened, size=file.size, on_bytes=self._on_bytes)
            if sent != file.sha256:
                raise IntegrityError(FILE_CHANGED_LOCALLY, name=file.path.name, place=Place(store.bucket, key))
            objects.written(key)
        file.path.unlink(missing_ok=True)
        return ManifestObject(keys.relative(key), file.size, file.sha256, role, images)

    def _on_bytes(self, count: int) -> None:
        """Called by several threads; when a part is sent again, its bytes are counted back first."""
        with self._lock:
            self._done += count
            done = max(0, min(self._done, self._total))
            if self._shown:
                self._progress.update(phase="writing", unit="bytes", done=done, total=self._total)
