"""Find programs that Debian packages provide, and install missing packages.

Invariant: apt runs only when a required program is missing, and only as root.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from .command import run
from .errors import ClusterError

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
PROGRAMS: Mapping[str, str] = {
    "containerd": "containerd",
    "ctr": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
}


def path_variable() -> str:
    """PATH for daemons: the caller's, then the folders where Debian installs daemons."""
    return f"{os.environ.get('PATH', '')}:{_SBIN}"


def find(program: str) -> str | None:
    """Find the absolute path of ``program``, also in sbin folders."""
    return shutil.which(program, path=path_variable())


def cni_folder() -> Path:
    """Find the folder of the CNI plugins; raises ClusterError when there is none."""
    for folder in CNI_FOLDERS:
        if (folder / "bridge").exists() and (folder / "portmap").exists():
            return folder
    raise ClusterError("CNI plugins not found in /usr/lib/cni or /opt/cni/bin: install containernetworking-plugins")


def missing(find_program: Callable[[str], str | None] = find) -> list[str]:
    """Names of the packages to install, sorted."""
    packages = {package for program, package in PROGRAMS.items() if find_program(program) is None}
    if not any((folder / "bridge").exists() for folder in CNI_FOLDERS):
        packages.add("containernetworking-plugins")
    return sorted(packages)


def ensure(*, echo: Callable[[str], None], uid: int | None = None) -> None:
    """Install missing packages with apt; raises ClusterError if that is not possible."""
    packages = missing()
    if not packages:
        return
    names = " ".join(packages)
    if find("apt-get") is None:
        raise ClusterError(f"missing programs and no apt-get on this machine: install {names} by hand")
    if (os.geteuid() if uid is None else uid) != 0:
        raise ClusterError(f"missing packages: run as root, or first: apt-get install {names}")
    echo(f"apt: installing {names}")
    started = time.monotonic()
    common = ["apt-get", "-q", "-y", "-o", "Acquire::Retries=5", "-o", "DPkg::Lock::Timeout=300"]
    _apt([*common, "update"])
    _apt([*common, "install", "--no-install-recommends", *packages])
    echo(f"apt: done in {time.monotonic() - started:.0f} s")


def _apt(argv: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": path_variable()}
    run(argv, timeout=1800, env=environment)
