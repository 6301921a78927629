"""Extracts the checkpoint from an archive of the model zoo, and nothing else.

Invariant: only `model.ckpt.index` and `model.ckpt.data-*` are written, under fixed names, as regular files in the given
folder; no member's path, link or mode is followed. The archive's own pipeline.config is ignored.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Final

from trainingrun_agent.transfer import tar_stream
from trainingrun_agent.transfer.tar_stream import ArchiveUnusableError, Member, TarStream

MAX_FILE_BYTES: Final = 4 * 1024**3
MAX_RATIO: Final = 200  # of unpacked to packed bytes; checkpoints hardly compress
MAX_PADDING: Final = 1 << 20  # beside the members: the blocks of a small archive compress to nearly nothing
_WANTED: Final = re.compile(r"model\.ckpt\.(index|data-00000-of-00001)")
_NAMES: Final = ("model.ckpt.index", "model.ckpt.data-00000-of-00001")


def unpack_checkpoint(tar: Path, dest: Path) -> None:
    """Write `dest/model.ckpt.index` and `dest/model.ckpt.data-00000-of-00001`. Raises ArchiveUnusableError."""
    dest.mkdir(parents=True, exist_ok=True)
    budget = tar.stat().st_size * MAX_RATIO
    found: dict[str, str] = {}
    with tar_stream.opened(tar, max_bytes=budget + MAX_PADDING) as archive:
        for member in archive:
            budget = _spend(budget, member)
            name = PurePosixPath(member.name).name
            if not _WANTED.fullmatch(name):
                continue
            _check(member, name=name, found=found)
            _write(archive, dest / name)
            found[name] = member.shown
    missing = [name for name in _NAMES if name not in found]
    if missing:
        raise ArchiveUnusableError(f"holds no {' and no '.join(missing)}")


def _spend(budget: int, member: Member) -> int:
    """The bytes that may still be unpacked after a member; skipped members count, as they are decompressed too."""
    if member.size > min(MAX_FILE_BYTES, budget):
        raise ArchiveUnusableError(
            f"has {member.shown} with {member.size} bytes, more than its packed size makes plausible"
        )
    return budget - member.size


def _check(member: Member, *, name: str, found: dict[str, str]) -> None:
    if not member.regular:
        raise ArchiveUnusableError(f"has {member.shown}, which is not a regular file")
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise ArchiveUnusableError(f"has the path {member.shown}, which leads out of it")
    if name in found:
        raise ArchiveUnusableError(f"has more than one {name}: {found[name]} and {member.shown}")


def _write(archive: TarStream, target: Path) -> None:
    with target.open("xb") as out:
        for chunk in archive.chunks():
            out.write(chunk)
