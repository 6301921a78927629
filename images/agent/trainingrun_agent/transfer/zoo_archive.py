"""Extracts the checkpoint from an archive of the model zoo, and nothing else.

Invariant: only `model.ckpt.index` and `model.ckpt.data-*` are written, under fixed names, as regular files in the given
folder; no member's path, link or mode is followed. The archive's own pipeline.config is ignored.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

MAX_MEMBERS: Final = 10_000
MAX_FILE_BYTES: Final = 4 * 1024**3
MAX_RATIO: Final = 200  # of unpacked to packed bytes; checkpoints hardly compress
CHUNK: Final = 1024 * 1024
_WANTED: Final = re.compile(r"model\.ckpt\.(index|data-00000-of-00001)")
_NAMES: Final = ("model.ckpt.index", "model.ckpt.data-00000-of-00001")


class ArchiveUnusableError(Exception):
    """An archive without a usable checkpoint; the text continues a sentence that starts with its name."""


def unpack_checkpoint(tar: Path, dest: Path) -> None:
    """Write `dest/model.ckpt.index` and `dest/model.ckpt.data-00000-of-00001`. Raises ArchiveUnusableError."""
    dest.mkdir(parents=True, exist_ok=True)
    budget = tar.stat().st_size * MAX_RATIO
    found: dict[str, str] = {}
    try:
        with tarfile.open(tar, mode="r|*") as archive:  # a stream: nothing can be read twice
            for member in _members(archive):
                budget = _spend(budget, member)
                name = PurePosixPath(member.name).name
                if not _WANTED.fullmatch(name):
                    continue
                _check(member, name=name, found=found)
                _write(archive, member, dest / name)
                found[name] = member.name
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of this machine, such as a full disk; tarfile's own errors have no errno
        raise ArchiveUnusableError(f"is not a complete .tar.gz or .tar archive: {_first_line(error)}") from error
    missing = [name for name in _NAMES if name not in found]
    if missing:
        raise ArchiveUnusableError(f"holds no {' and no '.join(missing)}")


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for number, member in enumerate(archive):
        if number >= MAX_MEMBERS:
            raise ArchiveUnusableError(f"has more than {MAX_MEMBERS} members")
        yield member


def _spend(budget: int, member: tarfile.TarInfo) -> int:
    """The bytes that may still be unpacked after a member; skipped members count, as they are decompressed too."""
    if member.size > min(MAX_FILE_BYTES, budget):
        raise ArchiveUnusableError(
            f"has {member.name!r} with {member.size} bytes, more than its packed size makes plausible"
        )
    return budget - member.size


def _check(member: tarfile.TarInfo, *, name: str, found: dict[str, str]) -> None:
    if not member.isreg():
        raise ArchiveUnusableError(f"has {member.name!r}, which is not a regular file")
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise ArchiveUnusableError(f"has the path {member.name!r}, which leads out of it")
    if name in found:
        raise ArchiveUnusableError(f"has more than one {name}: {found[name]!r} and {member.name!r}")


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = archive.extractfile(member)
    if source is None:
        raise ArchiveUnusableError(f"has {member.name!r}, which cannot be read")
    with target.open("xb") as out:
        while chunk := source.read(CHUNK):
            out.write(chunk)


def _first_line(error: Exception) -> str:
    """The first line: tarfile repeats its message for each kind of compression."""
    return (str(error).splitlines() or [type(error).__name__])[0]
