"""What is to be built, and from which bases. Invariant: planning reads files only, so a warm build is immediate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import bases
from .errors import BuildError
from .inputs import content_hash
from .paths import Cache
from .spec import Image, product_version, reference

BASES = ("local", "registry")


@dataclass(frozen=True)
class Planned:
    """One image with its reference and the archive it is, or will be, in."""

    image: Image
    reference: str
    archive: Path

    @property
    def built(self) -> bool:
        """Whether the archive is there; it appears under its name only when it is complete."""
        return self.archive.exists()


def plan(images: Sequence[Image], *, repository: Path, cache: Cache, base: str) -> list[Planned]:
    """References and archives of ``images`` as the tree is now; ``base`` is one of BASES. Raises BuildError."""
    version = product_version(repository)
    result = []
    for image in images:
        base_key = bases.key(image.local_base) if base == "local" else base
        digest = content_hash(repository, image.dockerfile, base_key=base_key, version=version)
        archive = cache.archives / f"{image.name}-{digest[:12]}.tar"
        result.append(Planned(image, reference(image, version, digest), archive))
    return result


def remembered_base(cache: Cache) -> str | None:
    """The kind of bases the last build on this machine settled on; None before the first."""
    try:
        name = (cache.root / "base").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    return name if name in BASES else None


def remember_base(cache: Cache, base: str) -> None:
    """Keep ``base`` for later runs, so that none of them has to try the network again."""
    (cache.folder(".") / "base").write_text(base + "\n", encoding="ascii")


def settled_base(cache: Cache, requested: str | None) -> str:
    """``requested``, else what the last build settled on; raises BuildError when neither is known."""
    base = requested or remembered_base(cache)
    if base is None:
        raise BuildError("no image was built here yet: run 'make images', or name the bases with --base local|registry")
    return base
