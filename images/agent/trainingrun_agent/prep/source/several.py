"""Choose among several formats that the images of one source have labels in.

Invariant: one format is used, whole; another one is ignored only if it says the same about the images that were
compared, or is too large to compare, and that is told.
"""

from __future__ import annotations

import hashlib
import heapq
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.model.codes.kind import Fields
from trainingrun_agent.prep.model.codes.label_files import FORMAT_IGNORED
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.source.beside import Neighbour
from trainingrun_agent.prep.source.image_labels import annotation_of
from trainingrun_agent.prep.source.labels import Origin, SourceLabels, open_labels
from trainingrun_agent.prep.source.listing import Listing
from trainingrun_agent.prep.source.pairing import Pair
from trainingrun_agent.prep.source.readers import FileFormat, Format
from trainingrun_agent.progress import Progress
from trainingrun_agent.reasons.dataset import FORMAT_AMBIGUOUS
from trainingrun_agent.terms import Change, Field

COMPARED, MAX_COMPARED_BYTES = 64, 64 << 20
"""Images whose labels are compared; bytes of a format's files above which they are not read for that."""
NEAR = 0.02
"""Part of the image's side by which equal corners may differ: tools round, and count pixels from 0 or from 1."""
MANY_BOXES = 200
"""More boxes of an image are not compared one by one."""


@dataclass(frozen=True)
class Opened:
    """The labels of a source in one format."""

    format: Format
    labels: SourceLabels


@contextmanager
def open_best(
    formats: Sequence[Format],
    listing: Listing,
    origin: Origin,
    lists: Sequence[Neighbour],
    *,
    scratch: Path,
    progress: Progress,
    stop: threading.Event,
) -> Iterator[Opened]:
    """Open the labels in the best of the formats, the one to prefer first, for the duration of the block.

    `lists` are those of classes around the labels.

    Raises UserError if formats contradict each other, and as `open_labels`.
    """
    with ExitStack() as stack:
        compared = [
            format_ for format_ in formats if len(formats) == 1 or _size(format_, listing) <= MAX_COMPARED_BYTES
        ] or formats[:1]
        opened = [
            Opened(
                format_,
                stack.enter_context(
                    open_labels(format_, listing, origin, lists, scratch=scratch, progress=progress, stop=stop)
                ),
            )
            for format_ in compared
        ]
        best = _best(opened) if len(opened) > 1 else opened[0]
        for other in opened:
            if other is not best:
                best.labels.pairing.findings.append(_compare(best, other, origin))
        for format_ in formats:
            if format_ not in compared:
                best.labels.pairing.findings.append(_ignored(format_, best, "unread"))
        yield best


def _size(format_: Format, listing: Listing) -> int:
    if isinstance(format_, FileFormat):
        return 0  # only those of the images that are compared are read
    return sum(entry.size for suffix in format_.suffixes for entry in listing.by_suffix.get(suffix, ()))


def _best(opened: Sequence[Opened]) -> Opened:
    """The first, unless it has no objects, or labels for only a few images that were left there."""
    drawn = [one for one in opened if _has_objects(one)] or opened
    most = max(len(one.labels.pairing.pairs) for one in drawn)
    return next(one for one in drawn if 2 * len(one.labels.pairing.pairs) >= most)


def _has_objects(opened: Opened) -> bool:
    """Whether any of the images looked at has an object: an empty file may be left from opening an image in a tool."""
    for pair in _sample(opened.labels.pairing.pairs):
        try:
            if _read(opened, pair).objects:
                return True
        except UnusableError:
            return True
    return False


def _sample(pairs: Iterable[Pair]) -> list[Pair]:
    return heapq.nsmallest(COMPARED, pairs, key=lambda pair: hashlib.sha256(pair.image.path.encode()).digest())


def _compare(best: Opened, other: Opened, origin: Origin) -> Finding:
    """The finding that `other` is ignored. Raises UserError if the two differ."""
    pairs = {pair.image.path: pair for pair in best.labels.pairing.pairs}
    sample = _sample(pair for pair in other.labels.pairing.pairs if pair.image.path in pairs)
    if sample and not _has_objects(other):
        return _ignored(other.format, best, "empty")
    compared = 0
    different: list[tuple[str, str, str]] = []
    for two in sample:
        one = pairs[two.image.path]
        try:
            first, second = _read(best, one), _read(other, two)
        except UnusableError:  # preparation reports it if it is in the format that is used
            continue
        compared += 1
        if not _equal(first, second):
            different.append((one.image.path, _shown(best, first), _shown(other, second)))
    if not different:
        return _ignored(other.format, best, "same" if compared else "apart", compared)
    path = f"dataset.{origin.split}.format"
    image, shown, other_shown = different[0]
    raise UserError(
        FORMAT_AMBIGUOUS,
        format=Field(path),
        count=2,
        compared=compared,
        differ=len(different),
        image=image,
        first=shown,
        second=other_shown,
        other=other.format.name,
        change_format=Change(path, now="auto", to=best.format.name),
    )


def _ignored(other: Format, best: Opened, case: str, compared: int = 0) -> Finding:
    fields: Fields = {"case": case, "ignored": other.name, "used": best.format.name, "count": compared}
    return Finding(FORMAT_IGNORED, "", fields, wide=True)


def _read(opened: Opened, pair: Pair) -> Annotation:
    return annotation_of(opened.labels.read(pair), opened.format.name)


def _equal(first: Annotation, second: Annotation) -> bool:
    """Whether both have the same objects; corners are compared where the image's size is known."""
    names = [sorted(item.name for item in one.objects if not item.crowd) for one in (first, second)]
    width, height = first.width or second.width, first.height or second.height
    known = (width and height) or first.relative is second.relative
    if names[0] != names[1] or not known or len(names[0]) > MANY_BOXES:
        return names[0] == names[1]
    left = [_share(item, second, width, height) for item in second.objects if not item.crowd]
    for item in first.objects:
        if not item.crowd:
            corners = _share(item, first, width, height)
            near = next((one for one in left if one[0] == corners[0] and _near(one[1], corners[1])), None)
            if near is None:
                return False
            left.remove(near)
    return True


def _share(item: LabelledObject, of: Annotation, width: int, height: int) -> tuple[str, tuple[float, ...]]:
    """The class and the corners in order, as parts of the image's size."""
    (xmin, xmax), (ymin, ymax) = sorted((item.xmin, item.xmax)), sorted((item.ymin, item.ymax))
    if of.relative:
        return item.name, (xmin, ymin, xmax, ymax)
    across, down = width or 1000, height or 1000  # both are in pixels of a size that neither names
    return item.name, (xmin / across, ymin / down, xmax / across, ymax / down)


def _near(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(abs(one - two) <= NEAR for one, two in zip(first, second, strict=True))


def _shown(opened: Opened, annotation: Annotation) -> str:
    """How many boxes, of which classes, and where the first one is: often only that differs."""
    boxes = "box" if len(annotation.objects) == 1 else "boxes"
    text = f"{opened.format.name} has {len(annotation.objects)} {boxes}"
    if not annotation.objects:
        return text
    names = ", ".join(sorted({item.name for item in annotation.objects})[:3])
    first = annotation.objects[0]
    corners = ", ".join(f"{value:.4g}" for value in (first.xmin, first.ymin, first.xmax, first.ymax))
    unit = "parts of the image" if annotation.relative else "pixels"
    return f"{text} ({names}; the first from left, top to right, bottom: {corners} {unit})"
