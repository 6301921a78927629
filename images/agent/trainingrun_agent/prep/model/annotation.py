"""The canonical form that every label format is read into.

Invariant: coordinates are finite numbers as the file has them (not clipped, not ordered), names are stripped;
nothing here has been compared with the image yet.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from trainingrun_agent.prep.model.codes.boxes import BOX_NOT_NORMALISED
from trainingrun_agent.prep.model.codes.kind import Fields, FindingKind, Value, bounded
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.terms import TRAININGRUN

MAX_OBJECTS = 10_000
"""Objects of one image: all images of a batch are padded to the largest number of boxes."""
ROUNDING = 1e-4
"""Coordinates between 0 and 1 may be outside by this much, because label tools round them to six digits."""


@dataclass(slots=True)
class LabelledObject:
    """One labelled box, in pixels or as parts of the image's size; `index` is its position in the file, from 0.

    `crowd` is one box around many objects; `shape` says what was drawn, empty for an upright box. Never changed once
    made; not frozen, because millions are made and freezing doubles the time to make one.
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
        """The corners as xmin, ymin, xmax, ymax."""
        return self.xmin, self.ymin, self.xmax, self.ymax


@dataclass(frozen=True)
class Annotation:
    """The labels of one image; `width` and `height` in pixels, 0 if the file does not have them.

    `relative`: coordinates are parts of the image's size, 0..1. `sized`: the format has a place for that size. `notes`
    are findings about the objects together.
    """

    filename: str
    width: int
    height: int
    objects: tuple[LabelledObject, ...]
    relative: bool = False
    sized: bool = True
    notes: tuple[tuple[FindingKind, Fields], ...] = ()

    def in_pixels(self, width: int, height: int) -> tuple[LabelledObject, ...]:
        """The objects in pixels of an image of this size. Raises UnusableError for pixels in a relative format."""
        if not self.relative:
            return self.objects
        return tuple(_scaled(item, width, height) for item in self.objects)


class UnusableError(Exception):
    """A file, or an object in it, that cannot be read. Becomes an error finding."""

    def __init__(self, kind: FindingKind, *, index: int | None = None, **fields: Value) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.fields = bounded(fields)
        self.index = index

    @property
    def code(self) -> str:
        """Stable name of its kind."""
        return self.kind.code

    def finding(self, file: str, *, wide: bool = False) -> Finding:
        """The error finding about this file."""
        return Finding(self.kind, file, self.fields, self.index, wide=wide)

    def __str__(self) -> str:
        return f"{self.code}: {self.kind.describe(self.fields, TRAININGRUN)}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Workers send it through a pipe."""
        return _unusable, (self.kind, self.fields, self.index)


def _unusable(kind: FindingKind, fields: dict[str, Value], index: int | None) -> UnusableError:
    return UnusableError(kind, index=index, **fields)


def version_of(labels: Annotation | UnusableError) -> str:
    """A digest that changes whenever the labels of an image do."""
    return digest_of(labels if isinstance(labels, Annotation) else (labels.code, labels.fields, labels.index))


def digest_of(value: object) -> str:
    """A digest of a value's representation."""
    return hashlib.blake2b(repr(value).encode("utf-8", "replace"), digest_size=8).hexdigest()


def _scaled(item: LabelledObject, width: int, height: int) -> LabelledObject:
    corners = item.corners
    if max(map(abs, corners)) > 2:
        raise UnusableError(BOX_NOT_NORMALISED, corners=corners, index=item.index)
    xmin, ymin, xmax, ymax = map(_snapped, corners)
    return replace(item, xmin=xmin * width, ymin=ymin * height, xmax=xmax * width, ymax=ymax * height)


def _snapped(share: float) -> float:
    if -ROUNDING <= share < 0:
        return 0.0
    return 1.0 if 1 < share <= 1 + ROUNDING else share
