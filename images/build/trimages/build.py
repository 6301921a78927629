"""Builds the images that the cache lacks. Invariant: one build at a time per cache folder, none of them repeated."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import bases, packages
from .engines import Buildah, Docker, Engine, Request
from .errors import BuildError
from .paths import Cache
from .plan import PlannedImage, plan, remember_base, remembered_base
from .process import Echo, output
from .spec import Image, product_version

KEPT_ARCHIVES = 3
# Pulled to find out whether a registry answers. Three of the four images are built on it, so the download is of use.
PROBED_BASE = "python:3.11-slim-bookworm"


def build(
    images: Sequence[Image], *, requested_base: str | None, repository: Path, cache: Cache, echo: Echo
) -> list[PlannedImage]:
    """Build the ``images`` that are not in the cache; return all of them. Raises BuildError."""
    base = requested_base or remembered_base(cache)
    if base is not None:
        planned = plan(images, repository=repository, cache=cache, base=base)
        if all(item.built for item in planned):
            return planned
    with _exclusive(cache, echo):
        docker = docker_answers()
        base = base or choose_base(docker=docker, cache=cache, echo=echo)
        remember_base(cache, base)
        planned = plan(images, repository=repository, cache=cache, base=base)
        engine = _engine(base, docker=docker, cache=cache, echo=echo)
        for item in planned:
            if not item.built:
                _build_one(item, base=base, engine=engine, repository=repository, cache=cache, echo=echo)
    return planned


def docker_answers() -> bool:
    """Whether the command ``docker`` exists and its daemon answers within ten seconds."""
    if shutil.which("docker") is None:
        return False
    try:
        output(["docker", "info", "--format", "{{.ServerVersion}}"], timeout=10)
    except BuildError:
        return False
    return True


def choose_base(*, docker: bool, cache: Cache, echo: Echo) -> str:
    """``registry`` when Docker answers or buildah can pull, else ``local``."""
    if docker:
        return "registry"
    packages.ensure(["buildah", "runc"], cache=cache, echo=echo)
    if Buildah(cache, echo).pull(PROBED_BASE, timeout=120):
        return "registry"
    echo("no image registry answers: building the base images on this machine (--base registry fails instead)")
    return "local"


def copy_archives(planned: Sequence[PlannedImage], folder: Path) -> None:
    """Put the archives into ``folder`` as NAME.tar: hard links on the same file system, else copies."""
    folder.mkdir(parents=True, exist_ok=True)
    for item in planned:
        target = folder / f"{item.image.name}.tar"
        target.unlink(missing_ok=True)
        try:
            os.link(item.archive, target)
        except OSError:
            shutil.copyfile(item.archive, target)


def _engine(base: str, *, docker: bool, cache: Cache, echo: Echo) -> Engine:
    # Docker cannot read the storage of buildah, which holds the local bases.
    if docker and base == "registry":
        return Docker(cache, echo)
    packages.ensure(["buildah", "runc"], cache=cache, echo=echo)
    return Buildah(cache, echo)


def _build_one(item: PlannedImage, *, base: str, engine: Engine, repository: Path, cache: Cache, echo: Echo) -> None:
    image, started = item.image, time.monotonic()
    arguments = {"VERSION": product_version(repository)}
    if base == "local":
        local_base = bases.ensure(image.local_base, builder=Buildah(cache, echo), cache=cache, echo=echo)
        arguments |= {"BASE_IMAGE": local_base, **image.local_args}
    echo(f"image {image.name}: building {item.reference}")
    request = Request(image.name, repository / image.dockerfile, repository, item.reference, arguments)
    engine.build(request, archive=item.archive)
    if plan([image], repository=repository, cache=cache, base=base)[0].reference != item.reference:
        item.archive.unlink()
        raise BuildError(f"files of image {image.name} changed while it was built: build it again")
    _prune(cache, image.name)
    megabytes = item.archive.stat().st_size / 1e6
    echo(f"image {image.name}: done in {time.monotonic() - started:.0f} s, archive {megabytes:.0f} MB")


def _prune(cache: Cache, name: str) -> None:
    archives = sorted(cache.archives.glob(f"{name}-*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for archive in archives[KEPT_ARCHIVES:]:
        archive.unlink()


@contextmanager
def _exclusive(cache: Cache, echo: Echo) -> Iterator[None]:
    with (cache.folder(".") / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            echo("another build uses this cache folder: waiting for it to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
