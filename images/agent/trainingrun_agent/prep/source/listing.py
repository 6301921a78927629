"""List the files of a source: images, annotations, and the list of an image set.

The labels may lie elsewhere: `with_labels`.

Invariant: a digest per kind of file has seen every object that preparation may read, by key, size and ETag, in
key order; which kinds count is known once the format of the labels is.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from json.encoder import encode_basestring_ascii as quoted
from pathlib import PurePosixPath
from typing import Protocol

from trainingrun_agent.config import Source
from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.model.class_names import nearest
from trainingrun_agent.prep.model.codes.image_files import KEY_NOT_LISTED
from trainingrun_agent.prep.model.codes.whole import PATH_IGNORED
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.readers import class_files
from trainingrun_agent.prep.source.unread_formats import UNREAD_SUFFIXES
from trainingrun_agent.progress import Progress
from trainingrun_agent.reasons.dataset import IMAGE_SET_NOT_FOUND
from trainingrun_agent.stopping import raise_if_stopped
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.terms import Change, Field, Place
from trainingrun_agent.training_settings import Uri

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"))
LABEL_SUFFIXES = frozenset((".xml", ".txt", ".json", ".csv"))
IMAGES_FOLDER, ANNOTATIONS_FOLDER, SETS_FOLDER = "JPEGImages", "Annotations", "ImageSets/Main"
IMAGE, SET, UNREAD = "image", "set", "unread"
"""Kinds of files; the kind of a file that may hold labels is its suffix."""
MAX_SET_BYTES = 32 << 20
PROGRESS_EVERY = 1000
MAX_OTHERS = 100
SYSTEM_FOLDERS = ("__MACOSX/", "@eaDir/", "$RECYCLE.BIN/")
"""Folders that operating systems and servers fill: previews of images, what was deleted."""


class Hash(Protocol):
    """The part of a hashlib object that is used here."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""

    def hexdigest(self) -> str:
        """The digest of all bytes added."""


@dataclass
class Listing:
    """The files of one source; `members` are the names an image set asks for, None without one.

    `annotations` are the files that may hold labels in any format, `lists` those that may list class names; `digests`
    are by kind: image, set, or a suffix. `findings` are about the source as a whole. `unread` are images in formats
    that are not read, `others` are files that are never read: number and first, by suffix. Where labels lie elsewhere,
    `shown` stands before the paths of `annotations` and `lists`, and `elsewhere` is true. `twice` is the last path
    that the server has listed more than once.
    """

    images: list[Entry] = field(default_factory=list)
    annotations: list[Entry] = field(default_factory=list)
    lists: list[Entry] = field(default_factory=list)
    sets: list[str] = field(default_factory=list)
    members: list[str] | None = None
    digests: dict[str, Hash] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    unread: list[Entry] = field(default_factory=list)
    others: dict[str, tuple[int, str]] = field(default_factory=dict)
    shown: str = ""
    elsewhere: bool = False
    twice: str = ""

    def add(self, kind: str, entry: Entry) -> None:
        """Add a file."""
        path = entry.path
        if kind[0] == ".":
            if class_files.rank(path[path.rfind("/") + 1 :].casefold()) is not None:
                self.lists.append(entry)
            if kind in class_files.SUFFIXES:
                return
        digest = self.digests.get(kind) or self.digests.setdefault(kind, hashlib.sha256())
        # The same text as json.dumps of a list, in a fifth of the time.
        digest.update(f"[{quoted(path)}, {entry.size}, {quoted(entry.etag)}]\n".encode())
        entries = self.images if kind == IMAGE else self.unread if kind == UNREAD else self.annotations
        if kind == SET:
            self.sets.append(path)
        elif entries and entries[-1].path == path:  # nobody can tell which of the objects it is the key of
            self.twice = entries.pop().path
            self.findings.append(Finding(KEY_NOT_LISTED, path, {"case": "twice", "key": ascii(path)}))
        elif path != self.twice:
            entries.append(entry)

    def with_labels(self, files: Iterable[Entry], shown: str) -> Listing:
        """The same images with labels from elsewhere; the files that could be labels here are not used."""
        kept = {kind: digest for kind, digest in self.digests.items() if kind in (IMAGE, SET, UNREAD)}
        made = replace(
            self,
            annotations=[],
            lists=[],
            digests=kept,
            findings=list(self.findings),
            shown=shown,
            elsewhere=True,
        )
        for entry in files:
            made.add(suffix_of(entry.path), entry)
        return made

    def inner(self, path: str) -> str:
        """The path of a label file, relative to the folder that labels are in."""
        return path.removeprefix(self.shown)

    @cached_property
    def by_suffix(self) -> dict[str, list[Entry]]:
        """The files that may hold labels, by suffix in lower case."""
        found: dict[str, list[Entry]] = {}
        for entry in self.annotations:
            found.setdefault(suffix_of(entry.path), []).append(entry)
        return found

    @property
    def tree(self) -> bool:
        """Whether images and annotations are in the folders of a VOC tree."""
        return any(entry.path.startswith(f"{IMAGES_FOLDER}/") for entry in self.images) and any(
            entry.path.startswith(f"{ANNOTATIONS_FOLDER}/") and entry.path.lower().endswith(".xml")
            for entry in self.annotations
        )


def scan(store: ObjectStore, source: Source, *, split: str, progress: Progress, stop: threading.Event) -> Listing:
    """List the source. Raises UserError if the image set does not exist."""
    listing = Listing()
    for kind, entry in files(store, source, progress=progress, stop=stop):
        if kind is None:
            _count_other(listing, entry.path)
        else:
            listing.add(kind, entry)
    if source.image_set is not None:
        listing.members = _members(store, source, listing, split)
    return listing


def files(
    store: ObjectStore, folder: Uri, *, progress: Progress, stop: threading.Event
) -> Iterator[tuple[str | None, Entry]]:
    """The files of a folder by kind: image, set, the suffix of a file of labels, None for what is never read."""
    progress.current.reading(f"the list of {folder}")
    count = 0
    for count, found in enumerate(store.list(folder.key), start=1):
        if count % PROGRESS_EVERY == 0:
            raise_if_stopped(stop)
            progress.update(phase="listing", done=count, unit="files")
        path = found.key[len(folder.key) :]
        yield _kind(path), Entry(path, found.size, found.etag)
    raise_if_stopped(stop)
    progress.current.reading("")
    progress.update(phase="listing", done=count, unit="files")


def left_out(paths: Mapping[str, str]) -> list[Finding]:
    """Findings about paths that the listing of a folder left out, with the cause."""
    return [Finding(PATH_IGNORED, path, {"problem": cause}, wide=True) for path, cause in sorted(paths.items())]


def is_label(kind: str | None) -> bool:
    """Whether files of the kind may hold labels."""
    return kind is not None and kind.startswith(".")


def _count_other(listing: Listing, path: str) -> None:
    suffix = suffix_of(path)
    if suffix and not _hidden(path) and (suffix in listing.others or len(listing.others) < MAX_OTHERS):
        count, first = listing.others.get(suffix, (0, path))
        listing.others[suffix] = count + 1, first


def suffix_of(path: str) -> str:
    """The suffix as PurePosixPath returns it, in lower case; faster, because listings are long."""
    name = path[path.rfind("/") + 1 :]
    at = name.rfind(".")
    return name[at:].lower() if 0 < at < len(name) - 1 else ""


def _kind(path: str) -> str | None:
    """The kind of a file; None for folders, hidden files and everything else that preparation never reads."""
    suffix = suffix_of(path)
    if path.endswith("/") or ((path.startswith(".") or "/." in path) and _hidden(path)):
        return None
    one, two, three = SYSTEM_FOLDERS  # no loop, because listings are long
    if one in path or two in path or three in path:
        return None
    if suffix in IMAGE_SUFFIXES:
        return IMAGE
    if suffix in UNREAD_SUFFIXES:
        return UNREAD
    if path.startswith(f"{SETS_FOLDER}/"):
        return SET if suffix == ".txt" else None
    return suffix if suffix in LABEL_SUFFIXES or suffix in class_files.SUFFIXES else None


def _hidden(path: str) -> bool:
    """Whether the file or a folder of it is hidden. In a bucket, `.` and `..` are ordinary names."""
    return any(part.startswith(".") and part not in (".", "..") for part in path.split("/"))


def _members(store: ObjectStore, source: Source, listing: Listing, split: str) -> list[str]:
    path = f"{SETS_FOLDER}/{source.image_set}.txt"
    if path not in listing.sets:
        sets = [PurePosixPath(name).stem for name in listing.sets]
        image_set = f"dataset.{split}.imageSet"
        raise UserError(
            IMAGE_SET_NOT_FOUND,
            image_set=Field(image_set),
            place=Place(source.bucket, f"{source.key}{path}"),
            known=", ".join(sets[:20]) or "none",
            change_set=Change(image_set, now=source.image_set, to=nearest(source.image_set or "", sets)),
            uri=Field(f"dataset.{split}.uri"),
        )
    text = store.get(source.key + path, max_bytes=MAX_SET_BYTES).decode("utf-8-sig", "replace")
    return sorted({name for line in text.splitlines() if (name := _member(line))})


def _member(line: str) -> str:
    """The name in a line of `<name>` or, in the lists per class, `<name> -1|0|1`."""
    head, _, flag = line.strip().rpartition(" ")
    return head.strip() if head and flag in ("-1", "0", "1") else line.strip()
