"""What the numbers of a YOLO line mean: a box, a polygon, a turned box, or a box with keypoints or a confidence.

A box with two keypoints and a polygon of four corners are both eight numbers. Nothing in a line says which it is, but
the lines of a data set all mean the same: keypoints have one number of columns throughout, polygons hardly ever. A few
lines of another kind, such as a box without its keypoints, show nothing.

Invariant: lines that can mean either are `UNCLEAR`, never guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

POLYGONS, KEYPOINTS, TURNED, TRACKED, SCORED, UNCLEAR = (
    "polygons",
    "keypoints",
    "turned",
    "tracked",
    "scored",
    "unclear",
)
"""Corners of any number; box and keypoints; four corners of a turned box; box, confidence and tracking id; corners and
a confidence. Whatever they are, lines of four numbers are boxes, of five boxes and one more number."""

_BOX = 4
_CORNERS = 8
_ROOM = 0.25  # of a box's side that a keypoint may lie outside
_SLACK = 0.02  # of the image's side
_FEW, _MOST = 0.75, 0.95
_PLAIN = 1 / 3  # of the longer lines, as many as boxes alone that may have lost their keypoints
_ENOUGH = 50  # lines


class Columns:
    """What the lines seen so far can mean, from the numbers after the class of each."""

    def __init__(self) -> None:
        self._counts = Counter[int]()
        self._plain = self._keypoints = self._polygons = self._visible = self._turned = self._tracked = 0
        self._invisible = self._identified = False

    def add(self, values: Sequence[float]) -> None:
        """Add a line."""
        if len(values) <= _BOX + 1:
            self._plain += 1
            return
        self._counts[len(values)] += 1
        marks = visibilities(values)
        self._visible += marks is not None
        self._invisible |= 2 in (marks or ())
        self._keypoints += marks is not None or _has_keypoints(values)
        self._polygons += _is_polygon(values)
        self._turned += _is_turned(values)
        self._tracked += _is_tracked(values)
        self._identified |= values[-1] > 1

    @property
    def settled(self) -> bool:
        """Whether more lines hardly change the meaning."""
        return self._plain + self._lines >= _ENOUGH or self._has_visibilities

    @property
    def _lines(self) -> int:
        return self._counts.total()

    @property
    def _usual(self) -> int:
        """The number of numbers of all longer lines, or of nearly all if they are more than four corners; else 0."""
        [(count, lines)] = self._counts.most_common(1) or [(0, 0)]
        alike = lines == self._lines or (count > _CORNERS + 2 and lines >= _MOST * self._lines)
        return count if alike else 0

    @property
    def _has_visibilities(self) -> bool:
        count = self._usual
        certain = self._invisible or count % 2 == 1 or count >= _BOX + 9
        return 0 < self._lines == self._visible and count > 0 and certain

    @property
    def meaning(self) -> str:
        """One of the above; POLYGONS for boxes alone, empty without any line."""
        if not self._lines:
            return POLYGONS if self._plain else ""
        count = self._usual
        if not count:
            scored = not self._plain and min(self._counts) > _BOX + 2 and all(one % 2 for one in self._counts)
            return SCORED if scored else POLYGONS
        if self._has_visibilities:
            return KEYPOINTS
        if self._plain > _PLAIN * self._lines:
            return POLYGONS
        if self._turned == self._lines:
            return TURNED
        if self._tracked == self._lines:
            return TRACKED if self._identified else UNCLEAR
        few = self._keypoints <= _FEW * self._lines
        return POLYGONS if count % 2 == 0 and few and self._polygons >= _MOST * self._lines else UNCLEAR

    @property
    def no_polygons(self) -> bool:
        """Whether these lines look like keypoints alone, however the others of the data set are."""
        return 0 < self._lines == self._keypoints and not self._polygons and min(self._counts) > _CORNERS


def visibilities(values: Sequence[float]) -> Sequence[float] | None:
    """Every third number after a box, if all are visibilities: 0 not labelled, 1 hidden, 2 visible."""
    marks = values[_BOX + 2 :: 3]
    fits = len(values) > _BOX + 2 and (len(values) - _BOX) % 3 == 0 and {*marks} <= {0, 1, 2}
    return marks if fits and _is_box(values) else None


def _is_box(values: Sequence[float]) -> bool:
    x, y, width, height = values[:_BOX]
    return all(
        side > 0 and centre - side / 2 >= -_SLACK and centre + side / 2 <= 1 + _SLACK
        for centre, side in ((x, width), (y, height))
    )


def _has_keypoints(values: Sequence[float]) -> bool:
    """Whether the numbers after a box are points of it; a point that is not labelled is 0 0."""
    if len(values) % 2 or not _is_box(values):
        return False
    x, y, width, height = values[:_BOX]
    across, down = (side * (0.5 + _ROOM) + _SLACK for side in (width, height))
    points = zip(values[_BOX::2], values[_BOX + 1 :: 2], strict=True)
    return all((px == py == 0) or (abs(px - x) <= across and abs(py - y) <= down) for px, py in points)


def _is_polygon(values: Sequence[float]) -> bool:
    """Whether the second point is anywhere near the others; the width and height of a box need not be."""
    if len(values) % 2:
        return False
    xs, ys = values[::2], values[1::2]
    if len(xs) == 3:
        return True
    for found, others in ((xs[1], (xs[0], *xs[2:])), (ys[1], (ys[0], *ys[2:]))):
        low, high = min(others), max(others)
        room = high - low + _SLACK
        if not low - room <= found <= high + room:
            return False
    return True


def _is_turned(values: Sequence[float]) -> bool:
    """Whether the first four points are the corners of a turned box, in order: opposite sides are alike."""
    if not _CORNERS <= len(values) <= _CORNERS + 2 or not _is_score(values[_CORNERS:]):
        return False
    xs, ys = values[:_CORNERS:2], values[1:_CORNERS:2]
    sides = [max(abs(x - px), abs(y - py)) for (px, x), (py, y) in zip(pairwise(xs), pairwise(ys), strict=True)]
    off = max(abs(xs[0] - xs[1] + xs[2] - xs[3]), abs(ys[0] - ys[1] + ys[2] - ys[3]))
    return min(sides) > 0 and off <= 0.1 * max(sides)


def _is_tracked(values: Sequence[float]) -> bool:
    return len(values) == _BOX + 2 and _is_box(values) and _is_score(values[_BOX:])


def _is_score(values: Sequence[float]) -> bool:
    """Whether these are nothing, a confidence, or a confidence and a tracking id."""
    return all(0 <= value <= 1 for value in values[:1]) and all(is_id(value) for value in values[1:])


def is_id(value: float) -> bool:
    """Whether the number can be a tracking id."""
    return value >= 0 and value == int(value)


def meaning_of(lines: Iterable[Sequence[float]]) -> str:
    """The meaning of the lines of a data set, as far as it takes to be sure."""
    columns = Columns()
    for values in lines:
        columns.add(values)
        if columns.settled:
            break
    return columns.meaning
