"""Base images made on this machine, for where no image registry answers.

Invariant: a base is named by the hash of its recipe and made at most once per recipe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from . import cpython, debian
from .paths import Cache
from .process import Echo


class MakeTar(Protocol):
    """Writes the files a base adds to its parent."""

    def __call__(self, target: Path, *, cache: Cache, echo: Echo) -> None:
        """Write a tar file to ``target``; raises BuildError."""


class Builder(Protocol):
    """What making a base asks of the image builder."""

    def has_image(self, name: str) -> bool:
        """Whether the builder's storage holds an image called ``name``."""

    def build_base(self, name: str, *, containerfile: str, context: Path) -> None:
        """Build an image from the text of its Containerfile; raises BuildError."""


@dataclass(frozen=True)
class LocalBase:
    """A base: the files it adds, on which parent, and the search path it needs."""

    recipe: str
    make_tar: MakeTar
    parent: str | None
    environment: Mapping[str, str]


BASES: Mapping[str, LocalBase] = {
    "debian": LocalBase(debian.RECIPE, debian.make_tar, None, {}),
    "cpython37": LocalBase(
        cpython.RECIPE,
        cpython.make_tar,
        "debian",
        {"PATH": f"/{cpython.PREFIX}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    ),
}


def key(name: str) -> str:
    """SHA-256 (hex) of the recipe of a base and of all its parents."""
    base = BASES[name]
    parent = key(base.parent) if base.parent else ""
    return hashlib.sha256(f"{parent}\0{base.recipe}\0{sorted(base.environment.items())}".encode()).hexdigest()


def image_name(name: str) -> str:
    """The name of a base in the builder's storage."""
    return f"localhost/trainingrun-base/{name}:{key(name)[:12]}"


def ensure(name: str, *, builder: Builder, cache: Cache, echo: Echo) -> str:
    """Make the base called ``name`` and its parents where absent; return its image name; raises BuildError."""
    base, image = BASES[name], image_name(name)
    if builder.has_image(image):
        return image
    parent = ensure(base.parent, builder=builder, cache=cache, echo=echo) if base.parent else "scratch"
    archive = cache.bases / f"{name}-{key(name)[:12]}.tar"
    if not archive.exists():
        echo(f"base {name}: making it")
        base.make_tar(archive, cache=cache, echo=echo)
    environment = "".join(f"ENV {variable}={value}\n" for variable, value in base.environment.items())
    containerfile = f'FROM {parent}\nADD {archive.name} /\n{environment}CMD ["python3"]\n'
    builder.build_base(image, containerfile=containerfile, context=cache.bases)
    return image
