"""`format: auto`: recognise the label formats of a source by its listing and the beginning of a few files.

Invariant: at least one format, the one to prefer first, or a UserError that says what lies there and what to do; a
handful of bounded reads, and none where images have XML files of their names beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice
from operator import attrgetter

from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.source.claims import without_upload
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.listing import Listing
from trainingrun_agent.prep.source.pairing import label_files, name_of
from trainingrun_agent.prep.source.readers import FORMATS, PASCAL_VOC, FileFormat, Format, SetFormat
from trainingrun_agent.prep.source.spelling import fold
from trainingrun_agent.prep.source.unknown_layouts import seen_layouts
from trainingrun_agent.reasons.dataset import FORMAT_NOT_RECOGNISED, FORMAT_UNKNOWN, NO_LABEL_FILES
from trainingrun_agent.terms import Change, Field

AUTO = "auto"
LOOKS = 5
"""Files of a kind whose beginning is read."""
Head = Callable[[Entry], bytes]
Formats = tuple[Format, ...]


def recognise(listing: Listing, asked: str, *, split: Split, head: Head) -> Formats:
    """The format asked for, or those found, labels per image first. `head` reads the beginning of a file.

    Raises UserError.
    """
    if asked != AUTO:
        return (FORMATS[asked],)
    if listing.members is not None or not listing.images:
        return (PASCAL_VOC,)
    look = _Look(listing, cache(head))
    found = [format_ for format_ in FORMATS.values() if look.shows(format_)]
    if not found:
        raise _nothing(listing, split, look.head)
    return tuple(sorted(found, key=lambda format_: isinstance(format_, SetFormat)))


@dataclass
class _Look:
    listing: Listing
    head: Head

    def shows(self, format_: Format) -> bool:
        """Whether a file is in this format."""
        return self._by_file(format_) if isinstance(format_, FileFormat) else self._by_set(format_)

    @cached_property
    def _images(self) -> set[str]:
        """The names that files of labels have in common with images."""
        return {name_of(image.path, PASCAL_VOC) for image in self.listing.images}

    @cached_property
    def _stems(self) -> set[str]:
        """The names of images without their folders."""
        return {name.rpartition("/")[2] for name in self._images}

    def _by_set(self, format_: SetFormat) -> bool:
        # A file with the name of an image usually has the labels of that image, not of a data set.
        alone: list[Entry] = []
        beside: list[Entry] = []
        for suffix in format_.suffixes:
            files = self.listing.by_suffix.get(suffix, [])
            apart = [one for one in files if self._name(one, suffix) not in self._images]
            alone += apart[:LOOKS] + sorted(apart, key=attrgetter("size"), reverse=True)[:LOOKS]
            if suffix != PASCAL_VOC.suffix:
                beside += islice((one for one in files if self._name(one, suffix) in self._images), LOOKS)
        candidates = dict.fromkeys((*sorted(alone), *sorted(beside)[:LOOKS]))
        return any(format_.recognises(self.head(entry)) for entry in candidates)

    def _name(self, entry: Entry, suffix: str) -> str:
        return fold(self.listing.inner(entry.path)).removesuffix(suffix)

    def _by_file(self, format_: FileFormat) -> bool:
        files = label_files(self.listing, format_)
        if not files:
            return False
        images = {name_of(one.path, format_) for one in self.listing.images} if format_.folders else self._images
        beside = list(islice((one for one in files if name_of(self.listing.inner(one.path), format_) in images), LOOKS))
        if format_ is PASCAL_VOC and (beside or self.listing.tree):
            return True  # nothing else has XML per image
        if beside and not any(entry.size for entry in beside) and format_.empty_is_negative:
            return True
        # A file whose own name fits no image may name one, unless it can be empty.
        others = [] if format_.empty_is_negative else files[:LOOKS]
        candidates = beside or list(self._elsewhere(files, format_)) or others
        return any(format_.recognises(self.head(entry)) for entry in candidates if entry.size)

    def _elsewhere(self, files: Iterable[Entry], format_: FileFormat) -> Iterable[Entry]:
        """Files with the name of an image in another folder."""
        named = ((one, name_of(one.path, format_).rpartition("/")[2]) for one in files)
        there = (one for one, name in named if name in self._stems or without_upload(name) in self._stems)
        return islice(there, LOOKS)


def _nothing(listing: Listing, split: Split, head: Head) -> UserError:
    path = f"dataset.{split}.format"
    about = {"format": Field(path), "uri": Field(f"dataset.{split}.uri"), "change_format": Change(path)}
    seen = seen_layouts(listing, head)
    if seen:
        ways = dict.fromkeys(f"{one.layout.what.partition(',')[0]}: {one.layout.way_out}" for one in seen)
        way_out = seen[0].layout.way_out if len(seen) == 1 else "; ".join(ways)
        found = "; ".join(map(str, seen))
        return UserError(FORMAT_UNKNOWN, **about, images=len(listing.images), seen=found, way_out=way_out)
    files = [entry.path for entry in listing.annotations[:5]]
    return UserError(
        FORMAT_NOT_RECOGNISED if files else NO_LABEL_FILES,
        **about,
        change_labels=Change(f"dataset.{split}.labels.uri"),
        images=len(listing.images),
        files=len(listing.annotations),
        examples=f", such as {', '.join(files)}" if files else "",
        formats=", ".join(FORMATS),
    )
