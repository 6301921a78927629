"""Plans a build: references, archives and base images. Invariant: it only reads files, so it takes a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import bases
from .errors import BuildError
from .inputs import content_hash
from .paths import Cache
from .spec import Image, product_version, reference

BASE_SOURCES = ("local", "registry")


@dataclass(frozen=True)
class PlannedImage:
    """One image, its reference, and the path of its archive, which may not exist yet."""

    image: Image
    reference: str
    archive: Path

    @property
    def built(self) -> bool:
        """Whether the archive exists; it gets this name only when it is complete."""
        return self.archive.exists()


def plan(images: Sequence[Image], *, repository: Path, cache: Cache, base: str) -> list[PlannedImage]:
    """References and archives of ``images`` for the current files; ``base`` is in BASE_SOURCES. Raises BuildError."""
    version = product_version(repository)
    result = []
    for image in images:
        base_hash = bases.recipe_hash(image.local_base) if base == "local" else base
        digest = content_hash(repository, image.dockerfile, base_hash=base_hash, version=version)
        archive = cache.archives / f"{image.name}-{digest[:12]}.tar"
        result.append(PlannedImage(image, reference(image, version, digest), archive))
    return result


def remembered_base(cache: Cache) -> str | None:
    """Where the last build on this machine took base images from, one of BASE_SOURCES; None before the first build."""
    try:
        name = (cache.root / "base").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    return name if name in BASE_SOURCES else None


def remember_base(cache: Cache, base: str) -> None:
    """Remember ``base``, so that later builds need not try whether a registry answers."""
    (cache.folder(".") / "base").write_text(base + "\n", encoding="ascii")


def chosen_base(cache: Cache, requested: str | None) -> str:
    """``requested``, else the source that the last build used; raises BuildError when neither is known."""
    base = requested or remembered_base(cache)
    if base is None:
        raise BuildError(
            "no image was built here yet: run 'make images', or choose with --base local or --base registry"
        )
    return base
