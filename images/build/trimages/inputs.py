"""The content hash of an image. Invariant: it covers every file the Dockerfile copies, and no other file."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from .errors import BuildError

# Raise it when images are built in another way although no input changed.
BUILDER_VERSION = "1"


def copied_paths(dockerfile: Path) -> list[str]:
    """Sources of all COPY instructions that read the build context, as written: they may contain ``*``."""
    text = re.sub(r"\\\n", " ", dockerfile.read_text(encoding="utf-8"))
    sources: list[str] = []
    for line in text.splitlines():
        words = shlex.split(line, comments=True) if line.startswith("COPY ") else []
        if words and not any(word.startswith("--from=") for word in words):
            sources += [word for word in words[1:-1] if not word.startswith("--")]
    return sources


def input_files(repository: Path, dockerfile: str) -> list[Path]:
    """All files an image is built from, sorted; raises BuildError when a copied path is absent."""
    files = {repository / dockerfile, repository / ".dockerignore"}
    for source in copied_paths(repository / dockerfile):
        found = {file for path in repository.glob(source) for file in _files_below(path)}
        if not found:
            raise BuildError(f"{dockerfile} copies {source!r}, but there is no such file in {repository}")
        files |= found
    return sorted(files)


def content_hash(repository: Path, dockerfile: str, *, base_hash: str, version: str) -> str:
    """SHA-256 (hex) over path, execute permission and content of every input, the hash of the base, and the version."""
    digest = hashlib.sha256(f"{BUILDER_VERSION}\0{base_hash}\0{version}\0".encode())
    for path in input_files(repository, dockerfile):
        mode = "x" if path.stat().st_mode & 0o100 else "-"
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(repository)}\0{mode}\0{content}\0".encode())
    return digest.hexdigest()


def _files_below(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for child in path.rglob("*") if path.is_dir() else ():
        if child.is_file() and "__pycache__" not in child.parts and child.suffix != ".pyc":
            yield child
