"""`format: auto`: which label format a source has, from its listing and the beginnings of a few files.

Invariant: one format or a UserError that names the files and the values to set; a handful of bounded reads, and
none where images have XML files of their names beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import islice

from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.findings import Split
from trainingrun_agent.prep.listing import Entry, Listing, suffix_of
from trainingrun_agent.prep.matching import fold, stem
from trainingrun_agent.prep.pairing import label_files, name_of
from trainingrun_agent.prep.readers import FORMATS, PASCAL_VOC, FileFormat, Format

AUTO = "auto"
LOOKS = 5
"""Files of a kind that are looked into."""
Head = Callable[[Entry], bytes]


def recognise(listing: Listing, asked: str, *, split: Split, head: Head) -> Format:
    """The format asked for, or the one found. `head` reads the beginning of a file. Raises UserError."""
    if asked != AUTO:
        return FORMATS[asked]
    if listing.members is not None or not listing.images:
        return PASCAL_VOC
    head = cache(head)
    found = {format_.name: path for format_ in FORMATS.values() if (path := _shown(format_, listing, head))}
    if len(found) == 1:
        return FORMATS[next(iter(found))]
    raise _ambiguous(found, split) if found else _nothing(listing, split)


def _shown(format_: Format, listing: Listing, head: Head) -> str | None:
    """The file that shows a format, if there is one."""
    if isinstance(format_, FileFormat):
        return _shown_by_file(format_, listing, head)
    files = [entry for entry in listing.annotations if entry.path.lower().endswith(format_.suffixes)]
    if not files:
        return None
    # A file with the name of an image beside it mostly holds the labels of that image, not of a data set.
    images = {stem(fold(image.path)) for image in listing.images}
    beside: dict[bool, list[Entry]] = {False: [], True: []}
    for entry in files:
        beside[fold(entry.path).removesuffix(_suffix(entry)) in images].append(entry)
    later = [entry for entry in beside[True] if _suffix(entry) != PASCAL_VOC.suffix]
    candidates = (*beside[False][:LOOKS], *later[:LOOKS])
    return next((entry.path for entry in candidates if format_.recognises(head(entry))), None)


def _shown_by_file(format_: FileFormat, listing: Listing, head: Head) -> str | None:
    files = label_files(listing, format_)
    if not files:
        return None
    images = {name_of(image.path, format_) for image in listing.images}
    beside = list(islice((entry for entry in files if name_of(entry.path, format_) in images), LOOKS))
    if format_ is PASCAL_VOC:
        if beside or listing.tree:
            return (beside or files)[0].path  # nothing else has XML per image
        beside = files[:LOOKS]  # paired by <filename>
    if beside and not any(entry.size for entry in beside) and format_.empty_is_negative:
        return beside[0].path
    return next((entry.path for entry in beside if format_.recognises(head(entry))), None)


def _suffix(entry: Entry) -> str:
    return suffix_of(entry.path)


def _ambiguous(found: dict[str, str], split: Split) -> UserError:
    shown = ", ".join(f"{name} ({path})" for name, path in found.items())
    return UserError(
        "FormatAmbiguous",
        f"spec.dataset.{split}.format: auto found labels in {len(found)} formats: {shown}",
        hint=f"Set spec.dataset.{split}.format to one of {', '.join(found)}, in a new run.",
    )


def _nothing(listing: Listing, split: Split) -> UserError:
    files = [entry.path for entry in (*listing.annotations[:5], *listing.images[:3])]
    counts = f"{len(listing.images)} images and {len(listing.annotations)} files that could hold labels"
    return UserError(
        "FormatNotRecognised",
        f"spec.dataset.{split}.format: auto recognised no labels in {counts}, such as {', '.join(files)}",
        hint=f"Upload the labels below spec.dataset.{split}.uri, or set spec.dataset.{split}.format to one of"
        f" {', '.join(FORMATS)}.",
    )
