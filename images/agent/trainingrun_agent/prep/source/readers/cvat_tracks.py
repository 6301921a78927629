"""Tracks of CVAT's video exports: shapes that follow an object through the frames of a video.

CVAT names the frames of a video frame_000000, frame_000001 and so on, by their number in the video; it writes images of
these names with an export. Shapes are given at keyframes, and often at all frames between them.

Invariant: only frames that are images of the data set are looked at, so a track of a million frames costs what its
images cost; two shapes of a track are in memory.
"""

from __future__ import annotations

from bisect import bisect_left
from copy import copy
from dataclasses import dataclass, field
from typing import NamedTuple

from lxml import etree

from trainingrun_agent.prep.model.annotation import LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.label_files import ENTRIES_CONTRADICT, FRAMES_WITHOUT_IMAGE, TRACKS_UNREAD
from trainingrun_agent.prep.source.readers.base import Entries
from trainingrun_agent.prep.source.readers.cvat_shapes import Drawn, between, drawn, object_of
from trainingrun_agent.prep.source.readers.values import clean, number, pixels

MAX_FRAMES = 500_000
"""Frames of a video: four hours and a half."""
_META = ("start_frame", "stop_frame", "frame_filter", "width", "height")
_SEVERAL = 2


class _Shape(NamedTuple):
    frame: int
    outside: bool
    drawn: Drawn | UnusableError
    line: str


@dataclass
class Tracks:
    """Reads the tracks of a file, element by element."""

    entries: Entries
    _meta: dict[str, list[str]] = field(default_factory=dict)
    _count: int = 0
    _lost: int = 0
    _before: _Shape | None = None
    _only: bool = True
    _frames: list[int] = field(default_factory=list)
    """The frames that are images, as far as they have been looked for."""
    _known: int = -1

    def about(self, element: etree._Element) -> None:
        """Note what <meta> says about the video."""
        if element.tag in _META and len(found := self._meta.setdefault(str(element.tag), [])) < _SEVERAL:
            found.append(clean(element.text or ""))

    def shape(self, track: etree._Element, element: etree._Element) -> None:
        """Take the next shape of a track. Raises UnusableError where the track goes back."""
        if element.get("frame") is None:
            return  # not a shape
        shape, before = _read(element), self._before
        if before is not None and shape.frame != before.frame:
            if shape.frame < before.frame:
                raise UnusableError(ENTRIES_CONTRADICT, case="track", first=before.frame, second=shape.frame)
            self._add(before, shape, track)
            self._only = False
        self._before = shape

    def end(self, track: etree._Element) -> None:
        """Take the end of a track."""
        self._count += 1
        if self._before is not None:
            self._add(self._before, self._after(self._before), track)
        self._before, self._only = None, True

    def _add(self, shape: _Shape, following: _Shape, track: etree._Element) -> None:
        """Add an object for each frame from a shape to the one that follows, if the frame is an image."""
        if shape.outside:
            return
        self._look(following.frame - 1)
        frames = self._frames[bisect_left(self._frames, shape.frame) : bisect_left(self._frames, following.frame)]
        self._lost += frames[:1] != [shape.frame]
        name = track.get("label")
        for frame in frames:
            part = (frame - shape.frame) / (following.frame - shape.frame)
            place = f"{shape.line} frame {frame}"
            self.entries.object(name_of(frame), place, _object, shape, following, part, name)

    def finish(self, *, images: bool) -> None:
        """Add the images, and what could not be tied to one; `images`: the file has images as well."""
        if not self._count:
            return
        self._look(self._stop)
        if images or not self._frames:
            self.entries.stray(UnusableError(TRACKS_UNREAD, count=self._count))
            return
        sizes = [pixels(next(iter(self._meta.get(side, ())), "")) for side in ("width", "height")]
        for frame in self._frames:
            self.entries.image(name_of(frame), name_of(frame), width=sizes[0], height=sizes[1])
        if self._lost:
            self.entries.stray(UnusableError(FRAMES_WITHOUT_IMAGE, count=self._lost))

    def _after(self, last: _Shape) -> _Shape:
        """What follows the last shape: an object that does not leave stays until the end of the video.

        A shape that is no track is written as a track of one shape, without an end just before the end of the video.
        """
        alone = self._only and last.frame + self._step >= self._stop
        stop = last.frame if alone else max(last.frame, self._stop)
        return last._replace(frame=stop + 1, outside=True)

    def _look(self, last: int) -> None:
        """Look which frames up to this one are images."""
        last = min(last, MAX_FRAMES)
        if last <= self._known or len(self._meta.get("start_frame", ())) == _SEVERAL:
            return  # several videos of a project name their frames alike
        first = max(self._known + 1, self._start)
        first += (self._start - first) % self._step
        self._frames += [frame for frame in range(first, last + 1, self._step) if self._is_image(frame)]
        self._known = last

    def _is_image(self, frame: int) -> bool:
        return self.entries.wanted(name_of(frame))

    @property
    def _start(self) -> int:
        return self._whole("start_frame", 0)

    @property
    def _stop(self) -> int:
        return self._whole("stop_frame", -1)

    @property
    def _step(self) -> int:
        """From <frame_filter>step=2</frame_filter>."""
        text = next(iter(self._meta.get("frame_filter", ())), "")
        step = text.partition("step=")[2]
        return int(step) if step.isascii() and step.isdigit() and 0 < int(step) < MAX_FRAMES else 1

    def _whole(self, name: str, otherwise: int) -> int:
        text = next(iter(self._meta.get(name, ())), "")
        return int(text) if text.isascii() and text.isdigit() and int(text) < MAX_FRAMES else otherwise


def name_of(frame: int) -> str:
    """The name of an image of a frame, without suffix, as CVAT writes it."""
    return f"frame_{frame:06d}"


def _read(element: etree._Element) -> _Shape:
    found: Drawn | UnusableError
    try:
        frame = max(0, int(number(element.get("frame"), "frame")))
        found = drawn(element)
    except UnusableError as problem:
        # What was raised knows the element by its traceback, which keeps the whole file in memory.
        frame, found = pixels(element.get("frame")), copy(problem)
    return _Shape(frame, element.get("outside") == "1", found, f"line {element.sourceline}")


def _object(shape: _Shape, following: _Shape, part: float, name: str | None) -> LabelledObject:
    """The object at a part of the way to the shape that follows."""
    for one in (shape, following) if part else (shape,):
        if isinstance(one.drawn, UnusableError):
            raise copy(one.drawn)  # raised many times, one error grows with each
    assert isinstance(shape.drawn, Drawn)
    if part and isinstance(following.drawn, Drawn):
        return object_of(between(shape.drawn, following.drawn, part), name)
    return object_of(shape.drawn, name)
