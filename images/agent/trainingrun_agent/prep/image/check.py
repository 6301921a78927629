"""Check one image and its annotation, repair the boxes, encode the record. Runs in worker processes.

Invariant: any bytes give a Checked; nothing is raised.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property

from trainingrun_agent.current_file import CurrentFile
from trainingrun_agent.prep.image import box_repair, images
from trainingrun_agent.prep.image.intensity import UNKNOWN, Scaling, Used
from trainingrun_agent.prep.image.records import record
from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError
from trainingrun_agent.prep.model.class_names import nearest, spelling
from trainingrun_agent.prep.model.codes.boxes import DUPLICATE_BOXES
from trainingrun_agent.prep.model.codes.classes import CLASS_SPELLING, UNKNOWN_CLASS
from trainingrun_agent.prep.model.codes.image_files import FORMAT_MISMATCH, IMAGE_ANIMATED, INTENSITY_OUTSIDE
from trainingrun_agent.prep.model.codes.kind import Fields
from trainingrun_agent.prep.model.findings import Finding, Split
from trainingrun_agent.prep.source.image_labels import ImageLabels, annotation_of

_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}

MAX_OUTSIDE = 0.05
"""Part of the pixels of an image that may be outside of the range of intensities."""
LEAST_LEVELS, LEAST_GUESSED = 16, 65
"""Levels of 256 below which an image is nearly one gray, and where its range is only a guess, too dark."""
MAX_SUGGESTED, MAX_FILES = 20, 3
"""Names of unknown classes in one image for which the nearest class is looked for; files that a finding names."""


@dataclass(frozen=True)
class Checked:
    """`record` is None for a bad file, and for a good one that was checked earlier.

    `seen` are the class names read, good or not. `boxes` are in pixels of `size`, the (width, height) the image was
    labelled in. `sha256` are the first 16 bytes of that of the file, `look` as in images.look_of.
    """

    path: str
    record: bytes | None
    findings: tuple[Finding, ...]
    seen: tuple[str, ...] = ()
    boxes: tuple[LabelledObject, ...] = ()
    size: tuple[int, int] = (0, 0)
    sha256: bytes = b""
    look: bytes = b""
    usable: bool = False


@dataclass(frozen=True)
class Checker:
    """Checks images; `large` and `scaling` as in images.render. `current` shows which image is checked."""

    classes: tuple[str, ...]
    max_side: int
    scaling: Scaling = UNKNOWN
    large: images.Large = nullcontext
    current: CurrentFile = field(default_factory=CurrentFile)

    def decoded(self, path: str, image: bytes | UnusableError) -> images.Opened | None:
        """The image, if it can be decoded before it is checked (images.decoded)."""
        if isinstance(image, UnusableError):
            return None
        self.current.reading(path)
        return images.decoded(image, max_side=self.max_side)

    def __call__(
        self,
        path: str,
        labels_path: str,
        image: bytes | UnusableError,
        labels: ImageLabels,
        *,
        format_: str,
        decoded: images.Opened | None = None,
    ) -> Checked:
        """Check one image. An image or labels that could not be read are given as UnusableError."""
        self.current.reading(path)
        seen: tuple[str, ...] = ()
        file = labels_path
        try:
            annotation = annotation_of(labels, format_)
            seen = tuple([item.name for item in annotation.objects])
            ids = self._ids
            unknown = [item for item in annotation.objects if item.name not in ids]
            if unknown:
                return Checked(path, None, self._unknown(file, unknown), seen)
            file = path
            if isinstance(image, UnusableError):
                raise image
            with nullcontext(decoded) if decoded else images.opened(image) as source:
                return self._judged(path, labels_path, annotation, source, seen)
        except UnusableError as problem:
            file = labels_path if problem.index is not None else file
            return Checked(path, None, (problem.finding(file),), seen)

    @cached_property
    def _spellings(self) -> dict[str, str]:
        """The classes by what their names are without case and blanks."""
        return {spelling(name): name for name in reversed(self.classes)}

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.classes, start=1)}

    def _judged(
        self, path: str, labels_path: str, annotation: Annotation, source: images.Opened, seen: tuple[str, ...]
    ) -> Checked:
        head = source.head
        turned = box_repair.rotation(head, annotation)
        size = box_repair.shown_size(head, upright=turned.upright)
        findings = _format_findings(path, head)
        findings += box_repair.size_findings(labels_path, head, annotation, turned)
        findings += box_repair.shape_findings(labels_path, annotation)
        findings += [Finding(kind, labels_path, fields) for kind, fields in annotation.notes]
        kept = self._repaired(labels_path, annotation, size, findings)
        picture = images.render(
            source, rotate=turned.upright, max_side=self.max_side, large=self.large, scaling=self.scaling
        )
        if picture.used is not None and kept:
            findings += _intensity_findings(path, picture.used, self.scaling)
        sha256 = hashlib.sha256(source.data)
        as_it_was = picture.data is source.data
        digest = sha256.hexdigest() if as_it_was else hashlib.sha256(picture.data).hexdigest()
        encoded = record(picture, kept, name=path, labelled_size=size, ids=self._ids, sha256=digest)
        fingerprints = (sha256.digest()[:16], picture.look)
        return Checked(path, encoded, tuple(findings), seen, tuple(kept), size, *fingerprints, usable=True)

    def _repaired(
        self, file: str, annotation: Annotation, size: tuple[int, int], findings: list[Finding]
    ) -> list[LabelledObject]:
        """The boxes that are kept; repairs and dropped boxes are added to the findings."""
        width, height = size
        scale = min(1.0, self.max_side / max(size))
        items = [item for item in annotation.in_pixels(width, height) if not item.crowd]
        unique = {(item.name, item.corners): item for item in reversed(items)}
        if len(unique) < len(items):
            findings.append(Finding(DUPLICATE_BOXES, file, {"count": len(items) - len(unique)}))
            items = [item for item in items if unique[item.name, item.corners] is item]
        if box_repair.all_fit(items, width=width, height=height, scale=scale):
            return items
        kept: list[LabelledObject] = []
        for item in items:
            box, found = box_repair.repair(
                item, file=file, width=width, height=height, scale=scale, pixels=not annotation.relative
            )
            findings += found
            if box is not None:
                kept.append(box)
        return kept

    def _unknown(self, file: str, items: Sequence[LabelledObject]) -> tuple[Finding, ...]:
        counts = Counter([item.name for item in items])
        alike: dict[str, list[tuple[str, int]]] = {}
        for name, count in counts.items():
            if known := self._spellings.get(spelling(name)):
                alike.setdefault(known, []).append((name, count))
        found = [spelled_otherwise(known, spellings, [file]) for known, spellings in alike.items()]
        others = counts.keys() - {name for spellings in alike.values() for name, _ in spellings}
        # To find the nearest class takes milliseconds.
        names = [name for name in counts if name in others][:MAX_SUGGESTED]
        near = {name: close for name in names if (close := nearest(name, self.classes))}
        found += [
            Finding(UNKNOWN_CLASS, file, {"name": item.name, **_nearest(near.get(item.name))}, item.index)
            for item in items
            if item.name in others
        ]
        return tuple(found)


def spelled_otherwise(
    name: str, spellings: Iterable[tuple[str, int]], files: Sequence[str], *, split: Split = "train"
) -> Finding:
    """Names in labels, with their numbers of boxes, that differ from a class by case or blanks only."""
    fields: Fields = {"boxes": boxes_by_name(spellings), "nearest": name, "files": files[:MAX_FILES]}
    return Finding(CLASS_SPELLING, files[0], fields, split=split)


def boxes_by_name(counts: Iterable[tuple[str, int]]) -> list[str]:
    """Names, each with its number of boxes."""
    return [f"{name!r} ({count} {'box' if count == 1 else 'boxes'})" for name, count in counts]


def _nearest(close: str | None) -> dict[str, str]:
    return {"case": "near", "nearest": close} if close else {"case": "name"}


def _format_findings(file: str, head: images.Header) -> list[Finding]:
    found = []
    if not file.lower().endswith(_SUFFIXES[head.format]):
        found.append(Finding(FORMAT_MISMATCH, file, {"format": head.format}))
    if head.animated:
        found.append(Finding(IMAGE_ANIMATED, file, {"format": head.format}))
    return found


def _intensity_findings(file: str, used: Used, scaling: Scaling) -> list[Finding]:
    low, high = scaling.range
    levels = LEAST_GUESSED if scaling == UNKNOWN else LEAST_LEVELS
    fields: Fields
    if used.outside > MAX_OUTSIDE:
        fields = {"case": "outside", "percent": round(100 * used.outside)}
    elif 0 < (used.high - used.low) * 256 < levels * (high - low):
        fields = {"case": "narrow", "least": round(used.low, 3), "greatest": round(used.high, 3)}
    else:
        return []
    return [Finding(INTENSITY_OUTSIDE, file, {**fields, "low": low, "high": high})]
