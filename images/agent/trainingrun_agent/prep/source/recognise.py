"""`format: auto`: recognise the label format of a source by its listing and the beginning of a few files.

Invariant: one format or a UserError that names the files and the values to set; a handful of bounded reads, and
none where images have XML files of their names beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice

from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.source.listing import Entry, Listing
from trainingrun_agent.prep.source.matching import fold, stem
from trainingrun_agent.prep.source.pairing import label_files, name_of
from trainingrun_agent.prep.source.readers import FORMATS, PASCAL_VOC, FileFormat, Format, SetFormat
from trainingrun_agent.reasons.dataset import FORMAT_AMBIGUOUS, FORMAT_NOT_RECOGNISED
from trainingrun_agent.terms import Change, Field

AUTO = "auto"
LOOKS = 5
"""Files of a kind whose beginning is read."""
Head = Callable[[Entry], bytes]


def recognise(listing: Listing, asked: str, *, split: Split, head: Head) -> Format:
    """The format asked for, or the one found. `head` reads the beginning of a file. Raises UserError."""
    if asked != AUTO:
        return FORMATS[asked]
    if listing.members is not None or not listing.images:
        return PASCAL_VOC
    look = _Look(listing, cache(head))
    found = {format_.name: path for format_ in FORMATS.values() if (path := look.shown(format_))}
    if len(found) == 1:
        return FORMATS[next(iter(found))]
    raise _ambiguous(found, split) if found else _nothing(listing, split)


@dataclass
class _Look:
    listing: Listing
    head: Head

    def shown(self, format_: Format) -> str | None:
        """A file that is in this format, if there is one."""
        return self._by_file(format_) if isinstance(format_, FileFormat) else self._by_set(format_)

    @cached_property
    def _images(self) -> set[str]:
        """The names that files of labels have in common with images."""
        return {stem(fold(image.path)) for image in self.listing.images}

    def _name(self, entry: Entry, suffix: str) -> str:
        return fold(self.listing.inner(entry.path)).removesuffix(suffix)

    def _by_set(self, format_: SetFormat) -> str | None:
        # A file with the name of an image usually has the labels of that image, not of a data set.
        alone: list[Entry] = []
        beside: list[Entry] = []
        for suffix in format_.suffixes:
            files = self.listing.by_suffix.get(suffix, [])
            alone += islice((one for one in files if self._name(one, suffix) not in self._images), LOOKS)
            if suffix != PASCAL_VOC.suffix:
                beside += islice((one for one in files if self._name(one, suffix) in self._images), LOOKS)
        candidates = (*sorted(alone)[:LOOKS], *sorted(beside)[:LOOKS])
        return next((entry.path for entry in candidates if format_.recognises(self.head(entry))), None)

    def _by_file(self, format_: FileFormat) -> str | None:
        files = label_files(self.listing, format_)
        if not files:
            return None
        images = {name_of(one.path, format_) for one in self.listing.images} if format_.folders else self._images
        beside = list(islice((one for one in files if name_of(self.listing.inner(one.path), format_) in images), LOOKS))
        if format_ is PASCAL_VOC:
            if beside or self.listing.tree:
                return (beside or files)[0].path  # nothing else has XML per image
            beside = files[:LOOKS]  # paired by <filename>
        if beside and not any(entry.size for entry in beside) and format_.empty_is_negative:
            return beside[0].path
        return next((entry.path for entry in beside if format_.recognises(self.head(entry))), None)


def _ambiguous(found: dict[str, str], split: Split) -> UserError:
    shown = ", ".join(f"{name} ({path})" for name, path in found.items())
    path = f"dataset.{split}.format"
    return UserError(
        FORMAT_AMBIGUOUS,
        format=Field(path),
        count=len(found),
        found=shown,
        formats=", ".join(found),
        change_format=Change(path, now=AUTO, to=next(iter(found))),
    )


def _nothing(listing: Listing, split: Split) -> UserError:
    files = [entry.path for entry in (*listing.annotations[:5], *listing.images[:3])]
    path = f"dataset.{split}.format"
    return UserError(
        FORMAT_NOT_RECOGNISED,
        format=Field(path),
        images=len(listing.images),
        files=len(listing.annotations),
        examples=", ".join(files),
        uri=Field(f"dataset.{split}.uri"),
        change_format=Change(path),
        formats=", ".join(FORMATS),
    )
