"""A local folder as an ObjectStore, for work without S3.

Invariant: nothing outside of the folder is read or written (safe_paths.py). A key is a path relative to the folder,
with slashes. Listings have S3's order, by the bytes of the UTF-8, and read no file.

Links to files inside the folder are objects. Listings skip links that lead out of the folder, links to folders, names
that are not UTF-8, and entries that are neither file nor folder; `skipped` has them. Unlike a bucket, a folder cannot
hold an object `a` beside an object `a/b`.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from trainingrun_agent.disk_space import is_disk_full
from trainingrun_agent.errors import (
    DiskFull,
    IntegrityError,
    NotFound,
    ObjectChanged,
    ObjectTooLarge,
    StageError,
    StorageRefused,
)
from trainingrun_agent.reasons.pods import FOLDER_FULL
from trainingrun_agent.reasons.storage import FILE_CHANGED, FILE_DENIED, FILE_NOT_FOUND, FILE_REFUSED
from trainingrun_agent.storage.base import MAX_CHILDREN, Children, ObjectInfo
from trainingrun_agent.storage.safe_paths import SafePaths, is_key_part
from trainingrun_agent.storage.server_traits import ServerTraits
from trainingrun_agent.storage.streams import Arrived, HashingReader, Part
from trainingrun_agent.terms import Place

CHUNK = 1 << 20
MAX_SKIPPED = 1000
LEVELS_ABOVE = 4
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR, errno.ENXIO)
_NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK)
_BEGIN, _END = ".trainingrun-", ".partial"
"""Beginning and end of the name of a file that is being written."""


class FolderStore:
    """One folder as a bucket; `skipped` has what listings skipped, with the reason, by path."""

    def __init__(self, root: Path) -> None:
        self._shown = str(root)
        self._paths = SafePaths(root)
        self.skipped: dict[str, str] = {}
        self.traits = ServerTraits()

    def __reduce__(self) -> tuple[type[FolderStore], tuple[Path]]:
        """Worker processes get the folder without `skipped`."""
        return FolderStore, (Path(self._shown),)

    @property
    def bucket(self) -> str:
        """The path of the folder, as it was given."""
        return self._shown

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        """See ObjectStore; reads one folder after the other."""
        return islice(self._walk(prefix, start_after), limit)

    def children(self, folder: str, *, limit: int = MAX_CHILDREN) -> Children:
        """See ObjectStore."""
        found = Children([], [])
        with suppress(StorageRefused), self._explained(folder):
            self._paths.check_folder(folder.rstrip("/"))
            for key in islice(self._keys(folder), limit):
                if key.endswith("/"):
                    found.folders.append(key)
                elif (info := self._listed(key)) is not None:
                    found.files.append(info)
        return found

    def wider(self) -> tuple[FolderStore, str] | None:
        """See ObjectStore; a folder of a few levels up, never the root of the file system."""
        root = Path(self._paths.root)
        above = [folder for folder in root.parents if folder != folder.parent][:LEVELS_ABOVE]
        return (FolderStore(above[-1]), f"{root.relative_to(above[-1]).as_posix()}/") if above else None

    def readable(self, key: str) -> bool:
        """See ObjectStore."""
        with suppress(StorageRefused), self._opened(key):
            return True
        return False

    def head(self, key: str) -> ObjectInfo | None:
        """See ObjectStore."""
        try:
            with self._opened(key) as (_, status):
                return _info(key, status)
        except NotFound:
            return None

    def get(self, key: str, *, max_bytes: int, etag: str = "") -> bytes:
        """See ObjectStore."""
        with self._opened(key) as (handle, status):
            if etag and etag != _etag(status):
                raise ObjectChanged(FILE_CHANGED, file=self._where(key))
            data = _read(handle, min(status.st_size, max_bytes) + 1)
        if len(data) > max_bytes:
            raise ObjectTooLarge(where=self._where(key), limit=max_bytes)
        return data

    def get_range(self, key: str, *, start: int, length: int) -> bytes:
        """See ObjectStore."""
        with self._opened(key) as (handle, status):
            os.lseek(handle, start, os.SEEK_SET)
            return _read(handle, min(length, max(0, status.st_size - start)))

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        """See ObjectStore."""
        return self._write(key, lambda file: file.write(data), if_absent=if_absent)

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
        """See ObjectStore; reading a file is not interrupted, so it always begins with the first byte."""
        where = Place(self._shown, key)
        with nullcontext(arrived) if arrived else Arrived(path, on_bytes or (lambda _: None)) as kept:
            kept.restart()
            with self._opened(key) as (handle, _):
                kept.take(Part(0, "", iter(lambda: os.read(handle, CHUNK), b"")), limit=size, what=where)
            found = kept.hexdigest()
            if kept.size == size and sha256 in (None, found):
                return kept.keep()
        expected = f"{size} bytes{f' with SHA-256 {sha256}' if sha256 else ''}"
        raise IntegrityError(where=self._where(key), found=f"{kept.size} bytes with SHA-256 {found}", expected=expected)

    def upload(self, key: str, file: BinaryIO, *, size: int, on_bytes: Callable[[int], None] | None = None) -> str:
        """See ObjectStore."""
        file.seek(0)
        reader = HashingReader(file, size, name=key)
        count = on_bytes or (lambda _: None)

        def fill(target: BinaryIO) -> None:
            while chunk := reader.read(CHUNK):
                target.write(chunk)
                count(len(chunk))

        self._write(key, fill)
        return reader.hexdigest()

    def take(self, key: str, file: Path) -> bool:
        """Move a finished file here; False if it is in another file system."""
        with self._explained(key, writing=True):
            path = Path(self._paths.path(key))
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                file.replace(path)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                return False
            return True

    def delete(self, key: str) -> None:
        """See ObjectStore; folders that become empty are removed, as a bucket would have none."""
        with suppress(NotFound), self._explained(key):
            path = Path(self._paths.path(key))
            path.unlink()
            with suppress(OSError):
                for folder in path.relative_to(self._paths.root).parents[:-1]:
                    Path(self._paths.root, folder).rmdir()

    def _walk(self, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        folder, slash, first = prefix.rpartition("/")
        if slash and not folder:
            return
        with suppress(NotFound), self._explained(folder):
            self._paths.check_folder(folder)
            stack = [self._keys(folder + slash, first)]
            while stack:
                key = next(stack[-1], None)
                if key is None:
                    stack.pop()
                elif key.endswith("/"):
                    if key > start_after or start_after.startswith(key):
                        stack.append(self._keys(key))
                elif key > start_after and (info := self._listed(key)) is not None:
                    yield info

    def _keys(self, folder: str, first: str = "") -> Iterator[str]:
        """The entries of a folder, sorted; folders end in a slash, so that they are sorted like the keys in them."""
        found = []
        with suppress(NotFound), self._explained(folder):
            for name, is_folder in self._paths.entries(folder):
                if not is_key_part(name):
                    self._skip(f"{folder}{name}", "the name is not UTF-8")
                elif name.startswith(first) and not (name.startswith(_BEGIN) and name.endswith(_END)):
                    found.append(f"{folder}{name}/" if is_folder else f"{folder}{name}")
        return iter(sorted(found))  # by code points, which is the order of the bytes of UTF-8

    def _listed(self, key: str) -> ObjectInfo | None:
        status = None
        with suppress(OSError):  # deleted since the folder was read
            status = os.lstat(f"{self._paths.root}/{key}")
        if status is None or stat.S_ISREG(status.st_mode):
            return status and _info(key, status)
        cause = "neither file nor folder"
        if stat.S_ISLNK(status.st_mode):
            try:
                status = Path(self._paths.target(key)).stat()
                cause = "a link to something that is not a file"
            except OSError as error:
                cause = str(error.strerror)
        if stat.S_ISREG(status.st_mode):
            return _info(key, status)
        self._skip(key, cause)
        return None

    def _skip(self, path: str, cause: str) -> None:
        if len(self.skipped) < MAX_SKIPPED:
            self.skipped[path] = cause

    @contextmanager
    def _opened(self, key: str) -> Iterator[tuple[int, os.stat_result]]:
        try:
            path = self._paths.path(key)
            handle = self._open(path, key)
            try:
                status = os.fstat(handle)
                if not stat.S_ISREG(status.st_mode):
                    raise FileNotFoundError(errno.ENOENT, "not a file", path)
                yield handle, status
            finally:
                os.close(handle)
        except OSError as error:
            raise self._as_stage_error(error, key, writing=False) from error

    def _open(self, path: str, key: str) -> int:
        try:
            return os.open(path, _READ)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EMLINK):  # errors for a link that is not followed
                raise
            return os.open(self._paths.target(key), _READ)

    def _write(self, key: str, fill: Callable[[BinaryIO], object], *, if_absent: bool = False) -> bool:
        with self._explained(key, writing=True):
            path = Path(self._paths.path(key))
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"{_BEGIN}{secrets.token_hex(8)}{_END}")
            try:
                with temporary.open("xb") as file:
                    fill(file)
                if if_absent:
                    return _publish_if_absent(temporary, path)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
            return True

    @contextmanager
    def _explained(self, key: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._as_stage_error(error, key, writing=writing) from error

    def _as_stage_error(self, error: OSError, key: str, *, writing: bool) -> StageError:
        file, problem = self._where(key), error.strerror
        if error.errno in _ABSENT and not writing:
            return NotFound(FILE_NOT_FOUND, file=file, problem=problem)
        if is_disk_full(error):
            return DiskFull(FOLDER_FULL, what=file, problem=problem)
        entry = FILE_DENIED if error.errno in _NO_PERMISSION else FILE_REFUSED
        return StorageRefused(entry, file=file, problem=problem)

    def _where(self, key: str) -> str:
        return f"{self._shown}/{key}"


def _publish_if_absent(temporary: Path, path: Path) -> bool:
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _copy_if_absent(temporary, path)
    return True


def _copy_if_absent(temporary: Path, path: Path) -> bool:
    """For file systems without links; a reader may see an incomplete file."""
    try:
        with path.open("xb") as file:
            file.write(temporary.read_bytes())
    except FileExistsError:
        return False
    return True


def _read(handle: int, wanted: int) -> bytes:
    """Up to `wanted` bytes, in several calls if necessary."""
    data = os.read(handle, wanted)
    while len(data) < wanted and (more := os.read(handle, wanted - len(data))):
        data += more
    return data


def _info(key: str, status: os.stat_result) -> ObjectInfo:
    return ObjectInfo(key, status.st_size, _etag(status), _moment(status.st_mtime))


def _etag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


def _moment(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError):  # file systems have years that Python does not have
        return datetime.fromtimestamp(0, UTC)
