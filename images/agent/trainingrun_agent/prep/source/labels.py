"""Pair the images of a source with their labels, and read the labels of each pair.

Invariant: whatever the format, an image's labels are an Annotation or UnusableError; what is wrong with files of
labels as a whole is among the pairing's findings.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trainingrun_agent.errors import NotFound, UserError
from trainingrun_agent.prep.model.annotation import Annotation, UnusableError, digest_of, version_of
from trainingrun_agent.prep.model.codes.classes import CLASS_ASSUMED, CLASSES_MISSING
from trainingrun_agent.prep.model.codes.label_files import FILE_IGNORED
from trainingrun_agent.prep.model.codes.pairs import ANNOTATION_WITHOUT_IMAGE
from trainingrun_agent.prep.model.codes.whole import LABELS_ELSEWHERE
from trainingrun_agent.prep.model.findings import Finding, Split
from trainingrun_agent.prep.source import fetch
from trainingrun_agent.prep.source.beside import Neighbour
from trainingrun_agent.prep.source.class_lists import ClassLists, around
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.fetch import Unread
from trainingrun_agent.prep.source.home import BUCKET, Home
from trainingrun_agent.prep.source.image_labels import UnreadLabels
from trainingrun_agent.prep.source.index import Index
from trainingrun_agent.prep.source.listing import Listing
from trainingrun_agent.prep.source.matching import Names, match
from trainingrun_agent.prep.source.meter import Meter
from trainingrun_agent.prep.source.pairing import Pair, Pairing, label_files, pair
from trainingrun_agent.prep.source.place import Place
from trainingrun_agent.prep.source.readers import Context, FileFormat, Format, LabelFile, SetFormat
from trainingrun_agent.prep.source.repeats import merge
from trainingrun_agent.progress import Progress, Steps
from trainingrun_agent.reasons.dataset import LABELS_NOT_FOUND
from trainingrun_agent.stopping import raise_if_stopped
from trainingrun_agent.terms import Change, Field

MAX_SET_BYTES = 8 << 30
HEAD = 64 << 10
SAMPLE = 64


@dataclass(frozen=True)
class Origin:
    """Where the images and the labels of a split are, and the classes asked for.

    `home` is the folder of the images, as labels elsewhere name it.
    """

    images: Place
    labels: Place
    split: Split
    classes: Sequence[str]
    home: Home = BUCKET


@dataclass(frozen=True)
class SourceLabels:
    """The pairs of a source, and how to read the labels of one.

    `version` changes with the labels of a pair; it costs nothing if each image has a label file of its own, which
    `unread` then names. `listed` are the names in lists of classes that give ids their names.
    """

    pairing: Pairing
    read: Callable[[Pair], LabelFile | Annotation]
    version: Callable[[Pair], str]
    unread: Callable[[Pair], UnreadLabels] | None = None
    listed: tuple[str, ...] = ()


@contextmanager
def open_labels(
    format_: Format,
    listing: Listing,
    origin: Origin,
    lists: Sequence[Neighbour],
    *,
    scratch: Path,
    progress: Progress,
    stop: threading.Event,
) -> Iterator[SourceLabels]:
    """Open the labels of a source for the duration of the block; `lists` are those of classes around them.

    Raises UserError, DiskFull, what storage raises, Interrupted once `stop` is set.
    """
    if isinstance(format_, FileFormat):
        yield _of_files(format_, listing, origin, lists, Steps(progress, "pairing", unit="files"), stop)
        return
    path = scratch / f"{origin.split}-{format_.name}-labels.sqlite"
    with Index(path, relative=format_.relative, sized=format_.sized, categories_shared=format_.partial) as index:
        pairing = _Filling(index, format_, origin, scratch, progress, stop).fill(listing)
        yield SourceLabels(pairing, lambda pair: index.labels(pair.annotation), lambda pair: _version(index, pair))


def class_lists(formats: Iterable[Format], listing: Listing, origin: Origin) -> list[Neighbour]:
    """The lists of classes around labels if those have ids: they decide what the labels say."""
    numbered = any(isinstance(format_, FileFormat) and format_.numbered for format_ in formats)
    return around(listing, origin.labels) if numbered else []


def _of_files(
    format_: FileFormat,
    listing: Listing,
    origin: Origin,
    near: Sequence[Neighbour],
    steps: Steps,
    stop: threading.Event,
) -> SourceLabels:
    classes = tuple(origin.classes)
    columns = "" if format_.survey is None else format_.survey(_sample(format_, listing, origin))
    lists = ClassLists(near if format_.numbered else (), origin.labels, Context(classes, classes, columns=columns))

    def unread(entry: Entry) -> UnreadLabels:
        return UnreadLabels(Unread(origin.labels, entry, format_.max_bytes), lists.context(entry.path))

    def filename_of(entry: Entry) -> str:
        raise_if_stopped(stop)
        steps.add()
        try:
            return format_.read(*unread(entry).read()).filename
        except UnusableError:
            return ""

    def version(pair: Pair) -> str:
        context, etag = lists.context(pair.annotation.path), pair.annotation.etag
        return etag if context == Context(classes, classes) else f"{etag} {digest_of(context)}"

    pairing = pair(listing, filename_of, format_=format_, inner=listing.inner)
    for one in pairing.pairs:
        lists.context(one.annotation.path)
    pairing.findings.extend((*listing.findings, *lists.findings()))
    return SourceLabels(
        pairing,
        lambda pair: unread(pair.annotation).read(),
        version,
        unread=lambda pair: unread(pair.annotation),
        listed=lists.names,
    )


def _sample(format_: FileFormat, listing: Listing, origin: Origin) -> Iterator[bytes]:
    """The beginnings of up to SAMPLE label files from all over the listing, without the line that is cut."""
    files = [entry for entry in label_files(listing, format_) if entry.size]
    for entry in files[:: max(1, len(files) // SAMPLE)][:SAMPLE]:
        data = head(origin, entry)
        yield data if len(data) == entry.size else data[: data.rfind(b"\n") + 1]


def _version(index: Index, pair: Pair) -> str:
    try:
        return version_of(index.labels(pair.annotation))
    except UnusableError as problem:
        return version_of(problem)


@dataclass(frozen=True)
class _Filling:
    """Reads label files for many images into the index."""

    index: Index
    format: SetFormat
    origin: Origin
    scratch: Path
    progress: Progress
    stop: threading.Event

    def fill(self, listing: Listing) -> Pairing:
        """Read all files of the format, and match what they list with the images."""
        names = Names.from_images(listing.images)
        files = sorted(entry for suffix in self.format.suffixes for entry in listing.by_suffix.get(suffix, ()))
        meter = Meter(self.progress, sum(entry.size for entry in files))
        findings = list(listing.findings)
        used = 0
        for entry in files:
            raise_if_stopped(self.stop)
            if self.format.recognises(head(self.origin, entry)):
                findings += self._take_in(entry, names, meter)
                used += 1
            else:
                findings.append(Finding(FILE_IGNORED, entry.path, {"format": self.format.name}))
        if not used:
            raise _none_of(self.format, files, self.origin.split)
        self.index.finish()
        nameless = self._name_objects(findings)
        steps = Steps(self.progress, "pairing", unit="images", total=self.index.image_count, every=1000)
        listed = steps.counted(self.index.images())
        if listing.elsewhere:  # files there may list the images of other folders, too
            listed = self.origin.home.listed(listed)
        complete = not self.format.partial and not listing.elsewhere
        matches = match(names, listed, listing.images, complete=complete, inner=listing.inner)
        findings += merge(matches, self.index)
        matches.drop(nameless)
        self.index.place((path, number) for path, number in matches.ids.items())
        if listing.elsewhere and (others := self.index.unplaced()):
            findings.append(Finding(LABELS_ELSEWHERE, listing.shown, {"case": "images", "others": others}, wide=True))
        findings += [_orphans(*orphan) for orphan in self.index.orphans()] + matches.findings
        pairs = [Pair(image, Entry(image.path, 0)) for image in sorted(listing.images) if image.path in matches.ids]
        paired = matches.ids.keys() | matches.ignored
        return Pairing(pairs, findings, [image for image in listing.images if image.path not in paired])

    def _name_objects(self, findings: list[Finding]) -> set[int]:
        """Give the objects of files without any class the only class there is, and add the findings about the files.

        Returns the ids of the entries whose objects stay without a class.
        """
        classes = self.origin.classes
        nameless = set[int]()
        for file, count in self.index.without_classes():
            if len(classes) == 1:
                self.index.name_objects(file, classes[0])
                findings.append(Finding(CLASS_ASSUMED, file, {"count": count, "name": classes[0]}, wide=True))
            else:
                nameless |= self.index.entries_of(file)
                findings.append(Finding(CLASSES_MISSING, file, {"count": count}, wide=True))
        return nameless

    def _take_in(self, entry: Entry, names: Names, meter: Meter) -> list[Finding]:
        """Read one file into the index; returns the findings about the file."""
        origin, path = self.origin, self.scratch / f"{self.origin.split}-labels.part"
        try:
            fetch.download(origin.labels, entry, limit=MAX_SET_BYTES, path=path, on_bytes=meter.fetching(entry.size))
            self.progress.current.reading(entry.path)
            on_write = partial(raise_if_stopped, self.stop)
            with (
                meter.open(path) as file,
                self.index.file(entry.path, wanted=names.knows, on_write=on_write) as entries,
            ):
                self.format.index(file, entries, Context(tuple(origin.classes)))
        except UnusableError as problem:
            return [problem.finding(entry.path, wide=True)]
        finally:
            self.progress.current.reading("")
            path.unlink(missing_ok=True)
        return [stray.finding(entry.path) for stray in entries.strays]


def head(origin: Origin, entry: Entry) -> bytes:
    """Read the beginning of a label file; nothing of one that is gone, which reading it whole explains."""
    with suppress(NotFound):
        if entry.size:
            key = origin.labels.key_of(entry.path)
            return origin.labels.store.get_range(key, start=0, length=min(HEAD, entry.size))
    return b""


def _orphans(file: str, count: int, ref: str) -> Finding:
    return Finding(ANNOTATION_WITHOUT_IMAGE, file, {"case": "entries", "count": count, "image": ref})


def _none_of(format_: SetFormat, files: Sequence[Entry], split: Split) -> UserError:
    seen = ", ".join(entry.path for entry in files[:5]) or "none"
    path = f"dataset.{split}.format"
    return UserError(
        LABELS_NOT_FOUND,
        format=Field(path),
        name=format_.name,
        uri=Field(f"dataset.{split}.uri"),
        suffixes=" and ".join(format_.suffixes),
        files=seen,
        change_format=Change(path, now=format_.name),
    )
