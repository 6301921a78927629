"""CPython 3.7 for the trainer's base image, used when no image with TensorFlow 1.14 can be pulled.

Invariant: the archive from Maven is used only when its SHA-256 is the one below.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from . import packages
from .errors import BuildError
from .paths import Cache
from .process import Echo, run_with_retries

ARTIFACT = "org.bytedeco:cpython:3.7.7-1.5.3:jar:linux-x86_64"
SHA256 = "64fd167c79cf6370bd52c49508c151657aee3b80712b866465b800f3b53c1926"
PREFIX = "opt/python3.7"
_PREFIX_IN_ARCHIVE = "org/bytedeco/cpython/linux-x86_64/"
# Headers, static libraries, Java bindings and parts of the standard library that no container needs.
DROPPED = (
    "include/",
    "share/",
    "libs/",
    "libjnipython.so",
    "lib/pkgconfig/",
    "lib/engines-1.1/",
    "lib/python3.7/test/",
    "lib/python3.7/idlelib/",
    "lib/python3.7/tkinter/",
    "lib/python3.7/lib2to3/tests/",
    "lib/python3.7/config-3.7m-x86_64-linux-gnu/",
)
RECIPE = f"{ARTIFACT} {SHA256} in {PREFIX} without {DROPPED}"


def make_tar(target: Path, *, cache: Cache, echo: Echo) -> None:
    """Write CPython below ``opt/python3.7`` to the tar file ``target``; raises BuildError."""
    jar = _download(cache, echo)
    digest = hashlib.sha256(jar.read_bytes()).hexdigest()
    if digest != SHA256:
        raise BuildError(f"{ARTIFACT} has SHA-256 {digest}, expected {SHA256}: delete {jar} and build again")
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(jar) as source, tarfile.open(partial, "w") as result:
        for entry in source.infolist():
            name = entry.filename.removeprefix(_PREFIX_IN_ARCHIVE)
            if name != entry.filename and not entry.is_dir() and not name.startswith(DROPPED):
                _copy(source, entry, result, name)
    partial.rename(target)


def _copy(source: zipfile.ZipFile, entry: zipfile.ZipInfo, result: tarfile.TarFile, name: str) -> None:
    member = tarfile.TarInfo(str(PurePosixPath(PREFIX) / name))
    member.size = entry.file_size
    member.mode = 0o755 if name.startswith("bin/") or ".so" in name else 0o644
    with source.open(entry) as content:
        result.addfile(member, content)


def _download(cache: Cache, echo: Echo) -> Path:
    packages.ensure(["mvn"], cache=cache, echo=echo)
    repository = cache.folder("maven")
    group, artifact, version, _, classifier = ARTIFACT.split(":")
    jar = repository.joinpath(*group.split("."), artifact, version, f"{artifact}-{version}-{classifier}.jar")
    if not jar.exists():
        run_with_retries(
            [
                "mvn",
                "--batch-mode",
                f"-Dmaven.repo.local={repository}",
                "dependency:get",
                f"-Dartifact={ARTIFACT}",
                "-Dtransitive=false",
            ],
            label="base cpython37 (mvn dependency:get)",
            log=cache.log("maven"),
            timeout=900,
            echo=echo,
        )
    shutil.rmtree(repository / "org" / "apache", ignore_errors=True)
    return jar
