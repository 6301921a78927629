"""One image and its annotation: read, judged, repaired, encoded. Runs in many threads.

Invariant: whatever the bytes, the outcome is a Checked; only storage that fails, and a stop, raise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from trainingrun_agent.prep import boxes, fetch, images
from trainingrun_agent.prep.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.budget import Budget
from trainingrun_agent.prep.classes import nearest
from trainingrun_agent.prep.findings import Finding, error, info, warning
from trainingrun_agent.prep.listing import Entry
from trainingrun_agent.prep.pairing import Pair
from trainingrun_agent.prep.records import record
from trainingrun_agent.storage.base import ObjectStore

_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}


@dataclass(frozen=True)
class Checked:
    """`record` is None for a bad file; `seen` are the class names read, good or not.

    `boxes` are in pixels of `size`, the (width, height) the image was labelled in.
    """

    path: str
    record: bytes | None
    findings: tuple[Finding, ...]
    seen: tuple[str, ...] = ()
    boxes: tuple[LabelledObject, ...] = ()
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Checker:
    """Checks pairs of one source; `prefix` is the source's key, `ids` the classes' ids from 1.

    `labels` reads what a pair's annotation says; it raises UnusableError.
    """

    store: ObjectStore
    prefix: str
    ids: dict[str, int]
    max_side: int
    budget: Budget
    labels: Callable[[Entry], Annotation]

    def __call__(self, pair: Pair) -> Checked:
        """Check one pair."""
        seen: tuple[str, ...] = ()
        file = pair.annotation.path
        try:
            annotation = self.labels(pair.annotation)
            seen = tuple(item.name for item in annotation.objects)
            unknown = tuple(self._unknown(file, item) for item in annotation.objects if item.name not in self.ids)
            if unknown:
                return Checked(pair.image.path, None, unknown, seen)
            file = pair.image.path
            data = fetch.read(self.store, self.prefix, pair.image, limit=images.MAX_BYTES)
            return self._checked(pair, annotation, data)
        except UnusableError as problem:
            file = pair.annotation.path if problem.index is not None else file
            bad = error(problem.code, file, seen=problem.seen, hint=problem.hint, index=problem.index)
            return Checked(pair.image.path, None, (bad,), seen)

    def _checked(self, pair: Pair, annotation: Annotation, data: bytes) -> Checked:
        head = images.header(data)
        rotate = boxes.rotates(head, annotation)
        size = (head.width, head.height)
        if rotate and head.orientation in boxes.TRANSPOSING:
            size = size[::-1]
        scale = min(1.0, self.max_side / max(size))
        kept: list[LabelledObject] = []
        findings = _format_findings(pair.image.path, head)
        findings += boxes.size_findings(pair.annotation.path, head, annotation)
        findings += boxes.shape_findings(pair.annotation.path, annotation)
        for item in annotation.in_pixels(*size):
            if item.crowd:
                continue
            box, found = boxes.repair(
                item,
                file=pair.annotation.path,
                width=size[0],
                height=size[1],
                scale=scale,
                pixels=not annotation.relative,
            )
            findings += found
            kept += [box] if box is not None else []
        picture = images.render(data, head, rotate=rotate, max_side=self.max_side, budget=self.budget)
        encoded = record(picture, kept, name=pair.image.path, labelled_size=size, ids=self.ids)
        seen = tuple(item.name for item in annotation.objects)
        return Checked(pair.image.path, encoded, tuple(findings), seen, tuple(kept), size)

    def _unknown(self, file: str, item: LabelledObject) -> Finding:
        close = nearest(item.name, self.ids)
        meant = f"; the nearest one is {close!r}" if close else ""
        return error(
            "UnknownClass",
            file,
            seen=f"class {item.name!r} is not in dataset.classes{meant}",
            hint="Correct the name in the file, or add it to spec.dataset.classes; case and blanks count.",
            index=item.index,
        )


def _format_findings(file: str, head: images.Header) -> list[Finding]:
    found = []
    if PurePosixPath(file).suffix.lower() not in _SUFFIXES[head.format]:
        found.append(
            info(
                "FormatMismatch",
                file,
                seen=f"the content is {head.format}",
                done="read it as what it is",
                hint="Nothing to do; other tools may trust the name.",
            )
        )
    if head.animated:
        found.append(
            warning(
                "ImageAnimated",
                file,
                seen=f"{head.format} with several frames",
                done="used the first frame",
                hint="Save the frame that was labelled as a JPEG.",
            )
        )
    return found
