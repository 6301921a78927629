"""Base images built on this machine, used when no image registry answers.

Invariant: the tag of a base holds the hash of its recipe, and each recipe is built at most once.
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
    """A function that writes the files that a base adds to its parent."""

    def __call__(self, target: Path, *, cache: Cache, echo: Echo) -> None:
        """Write a tar file to ``target``; raises BuildError."""


class Builder(Protocol):
    """The part of the image builder that local bases need."""

    def has_image(self, name: str) -> bool:
        """Whether the builder's storage holds the image ``name``."""

    def build_base(self, name: str, *, containerfile: str, context: Path) -> None:
        """Build an image from the text of its Containerfile; raises BuildError."""


@dataclass(frozen=True)
class LocalBase:
    """A base image: its files, its parent, and its environment variables."""

    recipe: str
    make_tar: MakeTar
    parent: str | None
    environment: Mapping[str, str]


LOCAL_BASES: Mapping[str, LocalBase] = {
    "debian": LocalBase(debian.RECIPE, debian.make_tar, None, {}),
    "cpython37": LocalBase(
        cpython.RECIPE,
        cpython.make_tar,
        "debian",
        {"PATH": f"/{cpython.PREFIX}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    ),
}


def recipe_hash(name: str) -> str:
    """SHA-256 (hex) of the recipes of a base and of all its parents."""
    base = LOCAL_BASES[name]
    parent = recipe_hash(base.parent) if base.parent else ""
    return hashlib.sha256(f"{parent}\0{base.recipe}\0{sorted(base.environment.items())}".encode()).hexdigest()


def image_name(name: str) -> str:
    """Name and tag of a base in the builder's storage."""
    return f"localhost/trainingrun-base/{name}:{recipe_hash(name)[:12]}"


def ensure(name: str, *, builder: Builder, cache: Cache, echo: Echo) -> str:
    """Build the base ``name`` and its parents unless they exist; return its image name; raises BuildError."""
    base, image = LOCAL_BASES[name], image_name(name)
    if builder.has_image(image):
        return image
    parent = ensure(base.parent, builder=builder, cache=cache, echo=echo) if base.parent else "scratch"
    archive = cache.bases / f"{name}-{recipe_hash(name)[:12]}.tar"
    if not archive.exists():
        echo(f"base {name}: building it")
        base.make_tar(archive, cache=cache, echo=echo)
    environment = "".join(f"ENV {variable}={value}\n" for variable, value in base.environment.items())
    containerfile = f'FROM {parent}\nADD {archive.name} /\n{environment}CMD ["python3"]\n'
    builder.build_base(image, containerfile=containerfile, context=cache.bases)
    return image
