"""The canonical form that every label format is read into.

Invariant: coordinates are finite pixels as the file has them (not clipped, not ordered), names are stripped;
nothing here has been compared with the image yet.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelledObject:
    """One labelled box in pixels of the annotated image; `index` is its place in the file, from 0."""

    index: int
    name: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    difficult: bool = False
    truncated: bool = False
    view: str = ""


@dataclass(frozen=True)
class Annotation:
    """The labels of one image; `width` and `height` in pixels, 0 when the file does not say."""

    filename: str
    width: int
    height: int
    objects: tuple[LabelledObject, ...]


class UnusableError(Exception):
    """A file, or an object in it, that cannot be read. Becomes an error finding."""

    def __init__(self, code: str, seen: str, *, hint: str, index: int | None = None) -> None:
        super().__init__(f"{code}: {seen}")
        self.code = code
        self.seen = seen
        self.hint = hint
        self.index = index
