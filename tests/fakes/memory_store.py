"""An ObjectStore in memory, for tests that are not about storage."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from trainingrun_agent.errors import IntegrityError, NotFound, ObjectChanged, ObjectTooLarge
from trainingrun_agent.reasons.storage import FILE_ENDED_EARLY
from trainingrun_agent.storage.base import MAX_CHILDREN, Children, ObjectInfo
from trainingrun_agent.storage.server_traits import ServerTraits
from trainingrun_agent.storage.streams import Arrived
from trainingrun_agent.terms import Place

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryStore:
    """One bucket; `puts` and `gets` are the keys written and read, in order."""

    def __init__(self, bucket: str = "detectors") -> None:
        self.bucket = bucket
        self.objects: dict[str, bytes] = {}
        self.puts: list[str] = []
        self.gets: list[str] = []
        self.traits = ServerTraits()

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > start_after)
        for key in keys[:limit]:
            yield self._info(key)

    def children(self, folder: str, *, limit: int = MAX_CHILDREN) -> Children:
        found = Children([], [])
        for info in self.list(folder):
            inner, slash, _ = info.key[len(folder) :].partition("/")
            if slash and f"{folder}{inner}/" not in found.folders:
                found.folders.append(f"{folder}{inner}/")
            elif inner and not slash:
                found.files.append(info)
        return found

    def wider(self) -> None:
        return None

    def readable(self, key: str) -> bool:
        return key in self.objects

    def head(self, key: str) -> ObjectInfo | None:
        return self._info(key) if key in self.objects else None

    def get(self, key: str, *, max_bytes: int, etag: str = "") -> bytes:
        self.gets.append(key)
        if key not in self.objects:
            raise NotFound(call="GetObject", where=Place(self.bucket, key), answer="404")
        if len(self.objects[key]) > max_bytes:
            raise ObjectTooLarge(where=Place(self.bucket, key), limit=max_bytes)
        if etag and etag != self._info(key).etag:
            raise ObjectChanged(where=Place(self.bucket, key), found="another", listed=etag)
        return self.objects[key]

    def get_range(self, key: str, *, start: int, length: int) -> bytes:
        return self.get(key, max_bytes=1 << 30)[start : start + length]

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        if if_absent and key in self.objects:
            return False
        self.objects[key] = data
        self.puts.append(key)
        return True

    def download(
        self,
        key: str,
        path: Path,
        *,
        size: int,
        sha256: str | None,
        on_bytes: Callable[[int], None] | None = None,
        arrived: Arrived | None = None,
    ) -> str:
        data = self.get(key, max_bytes=1 << 40)
        digest = hashlib.sha256(data).hexdigest()
        if len(data) != size or sha256 not in (None, digest):
            raise IntegrityError(where=Place(self.bucket, key), found=f"{len(data)} bytes", expected=f"{size} bytes")
        path.write_bytes(data)
        if on_bytes:
            on_bytes(size)
        return digest

    def upload(self, key: str, file: BinaryIO, *, size: int, on_bytes: Callable[[int], None] | None = None) -> str:
        file.seek(0)
        data = file.read(size)
        if len(data) < size:
            raise IntegrityError(FILE_ENDED_EARLY, name=key, missing=size - len(data))
        self.put(key, data)
        if on_bytes:
            on_bytes(len(data))
        return hashlib.sha256(data).hexdigest()

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def _info(self, key: str) -> ObjectInfo:
        data = self.objects[key]
        return ObjectInfo(key, len(data), hashlib.md5(data, usedforsecurity=False).hexdigest(), EPOCH)
