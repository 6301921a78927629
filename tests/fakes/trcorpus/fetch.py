"""Fetch a set from its public repository, as it is at its commit."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SECONDS = 600


def fetch(source: str, target: Path) -> None:
    """A folder of a repository becomes `target`. Links in it are followed, as an upload does."""
    repository, _, place = source.partition("@")
    commit, _, inside = place.partition(":")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        checkout = Path(temporary).resolve()
        _git(checkout, "init")
        _git(checkout, "remote", "add", "origin", f"https://github.com/{repository}")
        _git(checkout, "fetch", "--depth", "1", "--filter=blob:none", "origin", commit)
        _git(checkout, "checkout", "FETCH_HEAD", "--", inside or ".")
        for link in filter(Path.is_symlink, (checkout / inside).rglob("*")):
            _git(checkout, "checkout", "FETCH_HEAD", "--", os.path.normpath(link.parent / link.readlink()))
        shutil.copytree(checkout / inside, target, ignore=shutil.ignore_patterns(".git"))


def _git(checkout: Path, *command: str) -> None:
    """Without the upkeep that git starts in the background: it would write into a folder that is removed."""
    argv = ["git", "-C", str(checkout), "-c", "maintenance.auto=false", "-c", "gc.auto=0", *command]
    subprocess.run(argv, check=True, capture_output=True, text=True, timeout=SECONDS)
