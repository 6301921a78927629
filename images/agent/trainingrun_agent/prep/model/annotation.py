"""The canonical form that every label format is read into.

Invariant: coordinates are finite numbers as the file has them (not clipped, not ordered), names are stripped;
nothing here has been compared with the image yet.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

ROUNDING = 1e-4
"""How far beyond the image a share may lie because the format rounds it; label tools write six digits."""


@dataclass(slots=True)
class LabelledObject:
    """One labelled box in pixels of the annotated image, or in shares of it; `index` is its place in the file, from 0.

    `crowd` is one box around many objects; `shape` says what was drawn, empty for an upright box. Never changed once
    made; not frozen, because millions are made and freezing doubles the price of each.
    """

    index: int
    name: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    difficult: bool = False
    truncated: bool = False
    view: str = ""
    occluded: bool = False
    crowd: bool = False
    shape: str = ""

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """xmin, ymin, xmax, ymax."""
        return self.xmin, self.ymin, self.xmax, self.ymax


@dataclass(frozen=True)
class Annotation:
    """The labels of one image; `width` and `height` in pixels, 0 when the file does not say.

    `relative`: coordinates are shares of the image, 0..1. `sized`: the format has a place for the image's size.
    """

    filename: str
    width: int
    height: int
    objects: tuple[LabelledObject, ...]
    relative: bool = False
    sized: bool = True

    def in_pixels(self, width: int, height: int) -> tuple[LabelledObject, ...]:
        """The objects in pixels of an image of this size. Raises UnusableError for pixels among shares."""
        if not self.relative:
            return self.objects
        return tuple(_scaled(item, width, height) for item in self.objects)


class UnusableError(Exception):
    """A file, or an object in it, that cannot be read. Becomes an error finding."""

    def __init__(self, code: str, seen: str, *, hint: str, index: int | None = None) -> None:
        super().__init__(f"{code}: {seen}")
        self.code = code
        self.seen = seen
        self.hint = hint
        self.index = index

    def __reduce__(self) -> tuple[Any, ...]:
        """Workers send it through a pipe."""
        return partial(UnusableError, hint=self.hint, index=self.index), (self.code, self.seen)


def version_of(labels: Annotation | UnusableError) -> str:
    """What changes with what labels say."""
    said = repr(labels) if isinstance(labels, Annotation) else repr((labels.code, labels.seen, labels.index))
    return hashlib.blake2b(said.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _scaled(item: LabelledObject, width: int, height: int) -> LabelledObject:
    corners = item.corners
    if max(map(abs, corners)) > 2:
        shown = ", ".join(f"{corner:g}" for corner in corners)
        raise UnusableError(
            "BoxNotNormalised",
            f"corners ({shown}) are no shares of the image",
            hint="The format wants numbers between 0 and 1 (percent up to 100): divide by width and height.",
            index=item.index,
        )
    xmin, ymin, xmax, ymax = map(_snapped, corners)
    return replace(item, xmin=xmin * width, ymin=ymin * height, xmax=xmax * width, ymax=ymax * height)


def _snapped(share: float) -> float:
    if -ROUNDING <= share < 0:
        return 0.0
    return 1.0 if 1 < share <= 1 + ROUNDING else share
