"""The container images of TrainingRun, as data. Invariant: names are stable; they are part of image references."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import BuildError

REGISTRY = "trainingrun.dev"


@dataclass(frozen=True)
class Image:
    """One image: its Dockerfile, and the base and build arguments that replace the defaults when bases are local."""

    name: str
    dockerfile: str
    local_base: str
    local_args: Mapping[str, str] = field(default_factory=dict)


IMAGES = (
    Image("operator", "operator/Dockerfile", "debian"),
    Image("agent", "images/agent/Dockerfile", "debian"),
    Image("tensorboard", "images/tensorboard/Dockerfile", "debian"),
    Image("trainer", "Dockerfile.trainer", "cpython37", {"TENSORFLOW": "cpu"}),
)


def select(names: list[str]) -> tuple[Image, ...]:
    """The images with these ``names``, or all for an empty list; raises BuildError for an unknown name."""
    known = {image.name: image for image in IMAGES}
    for name in names:
        if name not in known:
            raise BuildError(f"no image {name!r}: choose from {', '.join(known)}")
    return tuple(image for image in IMAGES if not names or image.name in names)


def product_version(repository: Path) -> str:
    """The version of all images, from operator/pyproject.toml; raises BuildError if no image tag can contain it."""
    path = repository / "operator" / "pyproject.toml"
    version = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {}).get("version", "")
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.-]{0,60}", version):
        raise BuildError(f"{path}: project.version {version!r} cannot be part of an image tag; use for example 0.1.0")
    return str(version)


def reference(image: Image, version: str, digest: str) -> str:
    """The image reference, such as ``trainingrun.dev/agent:0.1.0-0123456789ab``; ``digest`` is the content hash."""
    return f"{REGISTRY}/{image.name}:{version}-{digest[:12]}"
