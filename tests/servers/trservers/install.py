"""Install servers that are no Go modules, once per version, below the user's cache folder.

Invariant: a folder of a version is there only when it is complete: it is renamed into place.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trcluster.paths import cache_root
from trimages import packages, process
from trimages.paths import default_cache

POMS: Final = Path(__file__).parents[1] / "maven"
SECONDS: Final = 1800


def jars(name: str, version: str) -> Path:
    """The folder with a server's jar files, from its project in tests/servers/maven; needs Java 17."""

    def fetch(scratch: Path) -> None:
        cache = default_cache()
        packages.ensure(["mvn"], cache=cache, echo=print)
        with tempfile.TemporaryDirectory() as repository:
            argv = ["mvn", "--batch-mode", f"-Dmaven.repo.local={repository}", f"-Dserver.version={version}"]
            argv += ["-f", str(POMS / name / "pom.xml"), "dependency:copy-dependencies", f"-DoutputDirectory={scratch}"]
            _run(name, argv)

    pom = hashlib.sha256((POMS / name / "pom.xml").read_bytes()).hexdigest()[:8]
    return _once(f"{name}-{version}-{pom}", fetch)


def crate(name: str, version: str, *, features: str) -> Path:
    """The program of a crate, built with cargo on two cores, since it needs memory for each."""

    def build(scratch: Path) -> None:
        with tempfile.TemporaryDirectory() as target:
            argv = ["cargo", "install", name, "--version", f"={version}", "--features", features, "--locked"]
            _run(name, [*argv, "--jobs", "2", "--root", str(scratch), "--target-dir", target])

    return _once(f"{name}-{version}", build) / "bin" / name


def _run(name: str, argv: list[str]) -> None:
    log = default_cache().log(f"server-{name}")
    process.run_with_retries(argv, label=f"server {name} ({argv[0]})", log=log, timeout=SECONDS, echo=print)


def _once(folder: str, make: Callable[[Path], None]) -> Path:
    target = cache_root() / "servers" / folder
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            scratch = Path(tempfile.mkdtemp(dir=target.parent))
            try:
                make(scratch)
                scratch.rename(target)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return target
