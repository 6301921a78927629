"""Measure the compressed sizes of the four container images, built on local bases."""

from __future__ import annotations

from collections.abc import Iterator

from trbench.measurements import Echo, Measurement
from trimages.build import build
from trimages.paths import REPOSITORY, default_cache
from trimages.sizes import measure as measure_archive
from trimages.spec import select

LIMITS = {"operator": 150.0, "agent": 200.0, "trainer": 450.0}  # MB


def measure(echo: Echo) -> Iterator[Measurement]:
    """Build missing images, then measure each one."""
    planned = build(select([]), requested_base="local", repository=REPOSITORY, cache=default_cache(), echo=echo)
    for item in planned:
        size = measure_archive(item.archive)
        detail = f"{size.unpacked / 1e6:.0f} MB unpacked"
        yield Measurement(item.image.name, size.compressed / 1e6, "MB", LIMITS.get(item.image.name), detail)
