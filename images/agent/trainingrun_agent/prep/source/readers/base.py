"""The interface of label formats: a name, file suffixes, and a reader for one image or for many.

Invariant: readers are pure: they see bytes and the classes asked for, never storage; they raise nothing but
UnusableError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple, Protocol

from trainingrun_agent.prep.model.annotation import Annotation, LabelledObject, UnusableError


@dataclass(frozen=True)
class Context:
    """What a reader is told about a file besides its bytes.

    `classes` are those of spec.dataset.classes, none if they are not known yet; `ids` are the names by class id, ""
    for an id without a name. `keypoints` are the number of keypoints of an object and of values of each, if a data.yaml
    says so. `columns` is what the format's `survey` found. `ids_from` is the file that lists the ids, empty if they are
    positions in `classes`.
    """

    classes: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    keypoints: tuple[int, int] | None = None
    columns: str = ""
    ids_from: str = ""


class LabelFile(NamedTuple):
    """The bytes of a label file of one image, and what its reader is told."""

    data: bytes
    context: Context


class Entries(Protocol):
    """Receives what a reader finds in a file for many images. `ref` is how the file itself names an image."""

    def image(self, ref: str, name: str, *, alias: str = "", width: int = 0, height: int = 0) -> None:
        """Add an image, with or without objects; `alias` is its name before it was uploaded to the tool."""

    def object(
        self, ref: str, place: str, make: Callable[..., LabelledObject | None], *arguments: Any, category: str = ""
    ) -> None:
        """Add an object of an image, or the defect that `make(*arguments)` raises; `place` is its place in the file.

        With a category, the object's name is the category's.
        """

    def category(self, ident: str, name: str) -> None:
        """Add the name of a class that objects refer to by id."""

    def stray(self, problem: UnusableError) -> None:
        """Add a defect that belongs to no image."""

    def wanted(self, name: str) -> bool:
        """Whether an image of this name, with or without suffix, is there at all."""


@dataclass(frozen=True)
class FileFormat:
    """A format with one label file per image. `recognises` gets the beginning of a file."""

    name: str
    suffix: str
    max_bytes: int
    read: Callable[[bytes, Context], Annotation]
    recognises: Callable[[bytes], bool]
    aside: Callable[[str], bool] | None = None
    """Files of the suffix that hold no labels, by their name in lower case."""
    numbered: bool = False
    """Whether its files have ids in place of class names: a list of classes beside them has the names."""
    empty_is_negative: bool = False
    """Whether an empty file means an image without objects."""
    folders: tuple[str, ...] = ()
    """Folders that separate images from labels: `images/a.jpg` belongs to `labels/a.txt`."""
    survey: Callable[[Iterable[bytes]], str] | None = None
    """What no file shows alone, from the beginnings of some files of a data set; its reader gets it in the context."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The kinds of files that have labels."""
        return (self.suffix,)


@dataclass(frozen=True)
class SetFormat:
    """A format with the labels of many images in one file.

    `relative` and `sized` as in Annotation. `partial`: its files list many more images than anybody has.
    """

    name: str
    suffixes: tuple[str, ...]
    index: Callable[[BinaryIO, Entries, Context], None]
    recognises: Callable[[bytes], bool]
    relative: bool = False
    sized: bool = True
    partial: bool = False


Format = FileFormat | SetFormat
