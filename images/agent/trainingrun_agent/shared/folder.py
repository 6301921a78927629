"""Access to the shared folder that is safe against a hostile trainer.

Invariant: every access is one name relative to an open folder handle. It never follows a symbolic link, opens only
regular files and folders, never blocks on a FIFO, and reads a bounded number of bytes. Otherwise a trainer could make
the agent upload the agent's own credentials.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Self

from trainingrun_agent.disk_space import raising_disk_full

MAX_ENTRIES = 4096
MAX_NAME = 255
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class UnsafeFileError(Exception):
    """An entry that cannot be used: a link, a FIFO, a folder in place of a file, too large, or not a plain name."""


class Folder:
    """An open folder. Methods raise FileNotFoundError for missing files and UnsafeFileError for unusable ones."""

    def __init__(self, handle: int, label: str) -> None:
        self._handle = handle
        self._label = label

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the mount itself, the only path that is trusted."""
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), str(path))

    def close(self) -> None:
        """Close the handle."""
        os.close(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sub(self, name: str, *, create: bool = False) -> Folder:
        """Open the folder `name` in this one."""
        self._check(name)
        if create:
            with self._disk(name):
                self._mkdir(name)
        with self._plain(name):
            return Folder(os.open(name, _DIRECTORY, dir_fd=self._handle), f"{self._label}/{name}")

    def walk(self, *names: str) -> Folder:
        """Open the folder at the end of these names, one below the other; without names open this one again."""
        folder = Folder(os.dup(self._handle), self._label)
        for name in names:
            with folder:
                folder = folder.sub(name)
        return folder

    def path(self, name: str) -> Path:
        """A path to `name` through this handle, so that it stays valid if a folder above is replaced."""
        self._check(name)
        return Path(f"/proc/self/fd/{self._handle}") / name

    def names(self, *, limit: int = MAX_ENTRIES) -> list[str]:
        """Names in the folder, sorted; at most `limit` entries are read."""
        found: list[str] = []
        with os.scandir(self._handle) as entries:
            for entry in entries:
                if len(found) >= limit:
                    break
                found.append(entry.name)
        return sorted(found)

    def has(self, name: str) -> bool:
        """Whether there is a regular file of that name."""
        try:
            return stat.S_ISREG(os.stat(name, dir_fd=self._handle, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return False

    @contextmanager
    def reading(self, name: str, *, max_bytes: int) -> Iterator[tuple[BinaryIO, int]]:
        """Open a file for reading; yields it and its current size, which is at most `max_bytes`."""
        self._check(name)
        with self._plain(name):
            handle = os.open(name, _READ, dir_fd=self._handle)
        try:
            size = self._size(name, handle, max_bytes)
            with os.fdopen(handle, "rb", closefd=False) as file:
                yield file, size
        finally:
            os.close(handle)

    def read(self, name: str, *, max_bytes: int) -> bytes:
        """Read the whole file."""
        with self.reading(name, max_bytes=max_bytes) as (file, _):
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise UnsafeFileError(f"{self._label}/{name} grew beyond {max_bytes} bytes")
        return data

    def tail(self, name: str, *, max_bytes: int) -> bytes:
        """Read the end of a file of any size."""
        with self.reading(name, max_bytes=sys.maxsize) as (file, size):
            file.seek(max(0, size - max_bytes))
            return file.read(max_bytes)

    @contextmanager
    def appending(self, name: str) -> Iterator[tuple[int, int]]:
        """Open a file for appending, and create it if necessary; yields its handle and its current size."""
        self._check(name)
        with self._plain(name), self._disk(name):
            handle = os.open(name, _APPEND, 0o644, dir_fd=self._handle)
        try:
            size = self._size(name, handle, None)
            with self._disk(name):
                yield handle, size
        finally:
            os.close(handle)

    def write(self, name: str, data: bytes) -> None:
        """Replace a file by rename: a reader sees the old or the new one, never an incomplete one."""
        self._check(name)
        temporary = f".{name}.{os.getpid()}"
        with self._disk(name):
            self.remove(temporary)
            handle = os.open(temporary, _CREATE, 0o644, dir_fd=self._handle)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.rename(temporary, name, src_dir_fd=self._handle, dst_dir_fd=self._handle)

    def link(self, name: str, into: Folder) -> None:
        """Hard-link a regular file into another folder under the same name; an existing link is replaced."""
        self._check(name)
        into.remove(name)
        with self._disk(name), self._plain(name):
            os.link(name, name, src_dir_fd=self._handle, dst_dir_fd=into._handle, follow_symlinks=False)
        if not into.has(name):
            into.remove(name)
            raise UnsafeFileError(f"{self._label}/{name} is not a regular file")

    def remove(self, name: str) -> None:
        """Remove a file or a link, not its target; a missing file is not an error."""
        self._check(name)
        try:
            os.unlink(name, dir_fd=self._handle)
        except FileNotFoundError:
            return

    def remove_sub(self, name: str) -> None:
        """Remove the folder `name` with the files in it; a missing folder is not an error."""
        try:
            with self.sub(name) as folder:
                for entry in folder.names():
                    folder.remove(entry)
            os.rmdir(name, dir_fd=self._handle)
        except FileNotFoundError:
            return

    def _mkdir(self, name: str) -> None:
        try:
            os.mkdir(name, 0o755, dir_fd=self._handle)
        except FileExistsError:
            return

    def _size(self, name: str, handle: int, max_bytes: int | None) -> int:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise UnsafeFileError(f"{self._label}/{name} is not a regular file")
        if max_bytes is not None and status.st_size > max_bytes:
            raise UnsafeFileError(f"{self._label}/{name} has {status.st_size} bytes, allowed are {max_bytes}")
        return status.st_size

    def _check(self, name: str) -> None:
        if not name or name in (".", "..") or "/" in name or "\0" in name or len(os.fsencode(name)) > MAX_NAME:
            raise UnsafeFileError(f"{name[:80]!r} is not a plain name in {self._label}")

    @contextmanager
    def _plain(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in (
                errno.ELOOP,
                errno.ENOTDIR,
                errno.EISDIR,
                errno.ENXIO,
                errno.EPERM,
                errno.EACCES,
            ):
                raise UnsafeFileError(f"{self._label}/{name} is not a regular file: {error.strerror}") from error
            raise

    def _disk(self, name: str) -> AbstractContextManager[None]:
        return raising_disk_full(f"{self._label}/{name}")
