"""Builds images with Docker or buildah.

Invariant: an archive gets its final name only when it is complete, and no image holds a credential or certificate of
the host.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .errors import BuildError
from .packages import find
from .paths import Cache
from .process import Echo, output, run, run_with_retries

BUILD_TIMEOUT = 3600.0
# Every Debian and Ubuntu base has this file, so a mount over it leaves no trace in the image.
_CA_BUNDLE_IN_IMAGE = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Request:
    """One image to build: label for messages, Dockerfile, build context, image reference and build arguments."""

    label: str
    dockerfile: Path
    context: Path
    reference: str
    arguments: Mapping[str, str]


class Engine(Protocol):
    """Builds an image and writes it as an archive that ``ctr images import`` reads."""

    def build(self, request: Request, *, archive: Path) -> None:
        """Build ``request`` and write it to ``archive``; raises BuildError."""


def build_options(request: Request) -> list[str]:
    """Options that Docker and buildah share, with the host's package index as a build argument."""
    arguments = dict(request.arguments)
    if index := os.environ.get("PIP_INDEX_URL"):
        arguments["PIP_INDEX_URL"] = index
    pairs = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    return ["--file", str(request.dockerfile), "--tag", request.reference, *pairs]


@dataclass(frozen=True)
class Docker:
    """Builds with the command ``docker`` and its daemon."""

    cache: Cache
    echo: Echo

    def build(self, request: Request, *, archive: Path) -> None:
        """Build ``request`` and save it to ``archive``; raises BuildError."""
        run_with_retries(
            ["docker", "build", *build_options(request), str(request.context)],
            label=f"image {request.label}",
            log=self.cache.log(request.label),
            timeout=BUILD_TIMEOUT,
            echo=self.echo,
            extra={"DOCKER_BUILDKIT": "1"},
        )
        partial = archive.with_suffix(".partial")
        _save(["docker", "save", "--output", str(partial), request.reference], request, self.cache, self.echo)
        partial.rename(archive)


@dataclass(frozen=True)
class Buildah:
    """Builds with buildah, whose storage is in the cache folder: it neither sees nor changes other images."""

    cache: Cache
    echo: Echo

    def build(self, request: Request, *, archive: Path) -> None:
        """Build ``request`` and write it to ``archive`` as an OCI archive; raises BuildError."""
        words = [*build_options(request), *self._certificates(), str(request.context)]
        self._bud(words, label=f"image {request.label}", log=self.cache.log(request.label))
        partial = archive.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        push = ["push", "--quiet", request.reference, f"oci-archive:{partial}:{request.reference}"]
        _save([*self._command(), *push], request, self.cache, self.echo)
        partial.rename(archive)
        self._remove_other_tags(request.reference)

    def build_base(self, name: str, *, containerfile: str, context: Path) -> None:
        """Build a base image from the text of its Containerfile; raises BuildError."""
        file = context / "Containerfile"
        file.write_text(containerfile, encoding="utf-8")
        label = name.rpartition("/")[2].partition(":")[0]
        words = ["--file", str(file), "--tag", name, str(context)]
        self._bud(words, label=f"base {label}", log=self.cache.log(f"base-{label}"))

    def has_image(self, name: str) -> bool:
        """Whether the storage holds the image ``name``."""
        return name in self._images()

    def pull(self, name: str, *, timeout: float) -> bool:
        """Pull the image ``name`` into the storage; returns whether that worked."""
        try:
            output([*self._command(), "pull", "--quiet", name], timeout=timeout, extra=self._environment())
        except BuildError:
            return False
        return True

    def _images(self) -> list[str]:
        return output([*self._command(), "images", "--format", "{{.Name}}:{{.Tag}}"], timeout=60).split()

    def _bud(self, words: list[str], *, label: str, log: Path) -> None:
        run_with_retries(
            [
                *self._command(),
                "bud",
                *self._runtime(),
                "--layers",
                "--network",
                "host",
                "--format",
                "oci",
                *words,
            ],
            label=label,
            log=log,
            timeout=BUILD_TIMEOUT,
            echo=self.echo,
            extra=self._environment(),
        )

    def _command(self) -> list[str]:
        storage, state = self.cache.folder("storage"), self.cache.folder("storage-run")
        return ["buildah", "--root", str(storage), "--runroot", str(state), "--storage-driver", "overlay"]

    def _runtime(self) -> list[str]:
        # crun, buildah's first choice, refuses hosts with cgroups in hybrid mode; runc runs on all.
        runtime = find("runc")
        return ["--runtime", runtime] if runtime else []

    def _environment(self) -> dict[str, str]:
        # buildah keeps the caches of RUN --mount=type=cache below TMPDIR.
        return {"TMPDIR": str(self.cache.folder("tmp"))}

    def _certificates(self) -> list[str]:
        bundle = os.environ.get("SSL_CERT_FILE", "")
        if not bundle or not Path(bundle).is_file():
            return []
        return ["--volume", f"{bundle}:{_CA_BUNDLE_IN_IMAGE}:ro", "--build-arg", f"PIP_CERT={_CA_BUNDLE_IN_IMAGE}"]

    def _remove_other_tags(self, reference: str) -> None:
        repository = reference.rpartition(":")[0] + ":"
        old = [name for name in self._images() if name.startswith(repository) and name != reference]
        if old:
            output([*self._command(), "rmi", "--force", *old], timeout=300)


def _save(argv: list[str], request: Request, cache: Cache, echo: Echo) -> None:
    log = cache.log(f"{request.label}-save")
    run(argv, label=f"archive {request.label}", log=log, timeout=900, echo=echo)
