"""Read label files without storage and without images."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

from label_sets import CLASSES
from trainingrun_agent.prep.model.annotation import Annotation, UnusableError
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.index import Index
from trainingrun_agent.prep.source.readers import FORMATS, Context, FileFormat, SetFormat

Corners = tuple[float, float, float, float]


@dataclass
class Read:
    """Result of reading: per image its labels or the error that excludes it; `strays` are codes of other errors."""

    images: dict[str, Annotation | UnusableError] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)
    orphans: int = 0

    def boxes(self, name: str) -> list[tuple[str, Corners]]:
        """Class and corners of each object of an image."""
        found = self.images[name]
        assert isinstance(found, Annotation), found
        return [(item.name, (item.xmin, item.ymin, item.xmax, item.ymax)) for item in found.objects]

    def defect(self, name: str) -> tuple[str, int | None]:
        """Code and object index of the error that excludes an image."""
        found = self.images[name]
        assert isinstance(found, UnusableError), found
        assert str(found).startswith(f"{found.code}: ")
        return found.code, found.index


def set_format(name: str) -> SetFormat:
    """Find a format whose files hold the labels of many images."""
    format_ = FORMATS[name]
    assert isinstance(format_, SetFormat)
    return format_


def file_format(name: str) -> FileFormat:
    """Find a format with one file per image."""
    format_ = FORMATS[name]
    assert isinstance(format_, FileFormat)
    return format_


def _is_there(image: str) -> bool:
    """Whether there is such an image; of a video, only the first frames are."""
    return image < "frame_000020" if image.startswith("frame_") else image != "nobody has it"


def read_set(name: str, *files: bytes, classes: tuple[str, ...] = CLASSES) -> Read:
    """Read files that hold the labels of many images. Raises UnusableError if a whole file is unusable."""
    format_, made = set_format(name), Read()
    with Index(
        Path(":memory:"),
        relative=format_.relative,
        sized=format_.sized,
        categories_shared=format_.partial,
    ) as index:
        for number, data in enumerate(files):
            with index.file(f"file {number}", wanted=_is_there) as entries:
                format_.index(io.BytesIO(data), entries, Context(classes, classes))
            made.strays += [stray.code for stray in entries.strays]
        index.finish()
        made.orphans = sum(count for _, count, _ in index.orphans())
        listed = list(index.images())
        index.place((f"{one.id} {one.name}", one.id) for one in listed)
        for one in listed:
            try:
                made.images[one.name] = index.labels(Entry(f"{one.id} {one.name}", 0))
            except UnusableError as problem:
                made.images[one.name] = problem
    return made
