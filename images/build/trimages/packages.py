"""Installs Debian packages that the builder needs. Invariant: apt runs only as root and when a program is missing."""

from __future__ import annotations

import os
import shutil

from .errors import BuildError
from .paths import Cache
from .process import Echo, run_with_retries

PACKAGE_OF = {"buildah": "buildah", "debootstrap": "debootstrap", "mvn": "maven", "runc": "runc"}
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def find(program: str) -> str | None:
    """Absolute path of ``program``, looked up in PATH and in the folders of system programs; None if absent."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{_SBIN}")


def ensure(programs: list[str], *, cache: Cache, echo: Echo) -> None:
    """Install the packages of missing ``programs``; raises BuildError when this machine or user cannot."""
    packages = sorted({PACKAGE_OF[program] for program in programs if find(program) is None})
    if not packages:
        return
    names = " ".join(packages)
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise BuildError(f"missing {names}: install them yourself, or run as root on Debian: apt-get install {names}")
    apt = ["apt-get", "-q", "-y", "-o", "Acquire::Retries=5", "-o", "DPkg::Lock::Timeout=300"]
    for step in (["update"], ["install", "--no-install-recommends", *packages]):
        run_with_retries(
            [*apt, *step],
            label=f"apt-get {step[0]} {names}",
            log=cache.log("apt"),
            timeout=1800,
            echo=echo,
            extra={"DEBIAN_FRONTEND": "noninteractive"},
        )
