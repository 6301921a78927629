"""A Debian root file system made by debootstrap. Invariant: it uses the mirror of this host."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from . import packages
from .errors import BuildError
from .paths import Cache
from .process import Echo, run, run_with_retries

SUITE = "bookworm"
INCLUDE = ("ca-certificates", "python3", "python3-venv")
# Files that no container reads. Package lists and caches are most of a fresh root file system.
EXCLUDE = (
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*",
    "./var/log/*",
    "./usr/share/doc/*",
    "./usr/share/man/*",
    "./usr/share/locale/*",
    "./dev/*",
)
RECIPE = f"debian {SUITE} minbase {INCLUDE} without {EXCLUDE}"
_APT = Path("/etc/apt")


def mirror(apt: Path = _APT) -> str:
    """``$DEBIAN_MIRROR``, or the mirror of Debian's main archive that apt uses here; raises BuildError if none."""
    if configured := os.environ.get("DEBIAN_MIRROR"):
        return configured
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    for file in (file for file in files if file.is_file()):
        text = file.read_text(encoding="utf-8", errors="replace")
        for pattern in (r"^URIs:\s*(\S+/debian/?)\s*$", r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+/debian/?)\s"):
            if found := re.search(pattern, text, re.MULTILINE):
                return found.group(1)
    raise BuildError(
        f"no Debian mirror in {apt}: set DEBIAN_MIRROR to the address of one, or build with --base registry"
    )


def make_tar(target: Path, *, cache: Cache, echo: Echo) -> None:
    """Write the root file system to ``target``; raises BuildError. Needs root."""
    if os.geteuid() != 0:
        raise BuildError("building a Debian base image needs root: run as root, or build with --base registry")
    packages.ensure(["debootstrap"], cache=cache, echo=echo)
    root = cache.bases / "debian-root"
    shutil.rmtree(root, ignore_errors=True)
    try:
        run_with_retries(
            [
                packages.find("debootstrap") or "debootstrap",
                "--variant=minbase",
                f"--include={','.join(INCLUDE)}",
                SUITE,
                str(root),
                mirror(),
            ],
            label="base debian (debootstrap)",
            log=cache.log("debootstrap"),
            timeout=1800,
            echo=echo,
        )
        excluded = [f"--exclude={pattern}" for pattern in EXCLUDE]
        partial = target.with_suffix(".partial")
        run(
            ["tar", "--numeric-owner", *excluded, "-C", str(root), "-cf", str(partial), "."],
            label="base debian (tar)",
            log=cache.log("debian-tar"),
            timeout=300,
            echo=echo,
        )
        partial.rename(target)
    finally:
        shutil.rmtree(root, ignore_errors=True)
