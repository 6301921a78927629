"""Folders of the image builder. Invariant: every path is absolute, and only the cache folder is written to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Cache:
    """Folders below ``root``, created on first use."""

    root: Path

    def folder(self, name: str) -> Path:
        """``root/name``, created if absent."""
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def archives(self) -> Path:
        """OCI archives, one tar file per image and content hash."""
        return self.folder("archives")

    @property
    def bases(self) -> Path:
        """Root file systems of the local base images, as tar files."""
        return self.folder("bases")

    def log(self, name: str) -> Path:
        """The log file of the build step ``name``; each build overwrites it."""
        return self.folder("logs") / f"{name}.log"


def default_cache() -> Cache:
    """``$XDG_CACHE_HOME/trainingrun/images`` or ``~/.cache/trainingrun/images``."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(configured) if configured.startswith("/") else Path("~/.cache").expanduser()
    return Cache(base / "trainingrun" / "images")
