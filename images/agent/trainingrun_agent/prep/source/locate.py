"""Where the labels of a source are: in the folder that is named for them, below the uri, or beside it.

Invariant: the neighbours of a source are looked at only where no file below its uri shows labels, read or not, and a
finding says which was used; labels that may be those of another folder are refused. A folder of labels may serve
several sources: files for other images are counted, no error.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from trainingrun_agent.config import Source
from trainingrun_agent.errors import UserError
from trainingrun_agent.prep.model.codes.kind import Fields
from trainingrun_agent.prep.model.codes.whole import LABELS_ELSEWHERE
from trainingrun_agent.prep.model.findings import Finding, Split
from trainingrun_agent.prep.source.beside import Labels, Neighbour, Search
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.labels import Origin, class_lists, head
from trainingrun_agent.prep.source.listing import Listing, files, scan
from trainingrun_agent.prep.source.pairing import label_files, name_of
from trainingrun_agent.prep.source.place import Place
from trainingrun_agent.prep.source.readers import FORMATS, FileFormat, SetFormat
from trainingrun_agent.prep.source.readers.yolo import FORMAT as YOLO
from trainingrun_agent.prep.source.recognise import AUTO, LOOKS, Formats, recognise
from trainingrun_agent.prep.source.unknown_layouts import layout_of
from trainingrun_agent.progress import Progress
from trainingrun_agent.reasons.dataset import LABELS_OF_SEVERAL_FOLDERS
from trainingrun_agent.storage.base import StoreFor
from trainingrun_agent.terms import Change, Field, Terms
from trainingrun_agent.training_settings import Uri


@dataclass(frozen=True)
class ListedSource:
    """The files of a source, where and in which formats its labels are, and the lists of classes around them."""

    listing: Listing
    formats: Formats
    origin: Origin
    lists: Sequence[Neighbour]

    @property
    def names(self) -> str:
        """The formats' names."""
        return "+".join(format_.name for format_ in self.formats)


@dataclass(frozen=True)
class Sources:
    """Lists sources. `terms` name the place of labels that are elsewhere."""

    store_for: StoreFor
    classes: tuple[str, ...]
    terms: Terms
    progress: Progress
    stop: threading.Event

    def list(self, source: Source, split: Split) -> ListedSource:
        """List a source and find its labels. Raises UserError, what storage raises, Interrupted."""
        images = Place(self.store_for(source.bucket), source.key)
        found = scan(images.store, source, split=split, progress=self.progress, stop=self.stop)
        origin = Origin(images, images, split, self.classes)
        formats: Formats = ()
        search = Search(images.widened, found, self._files)
        if source.labels is not None and not source.labels.same_as(source):
            found, origin = self._named(search, source.labels, origin)
        elif not (formats := _shown(found, source.format, origin)) and not _has_unread_labels(found, origin):
            found, origin = _beside(search, source.format, origin)
        formats = formats or _recognised(found, source.format, origin)
        return ListedSource(found, formats, origin, class_lists(formats, found, origin))

    def _named(self, search: Search, folder: Uri, origin: Origin) -> tuple[Listing, Origin]:
        """The listing with the labels of the folder that is named for them."""
        shown = self.terms.place(folder.bucket, folder.key)
        labels = search.named(Place(self.store_for(folder.bucket), folder.key, shown))
        listing = search.listing.with_labels(labels.files, labels.place.shown)
        if labels.others:
            listing.findings.append(_found(labels, "named"))
        return listing, replace(origin, labels=labels.place, home=search.home)

    def _files(self, place: Place) -> Iterator[tuple[str | None, Entry]]:
        return files(place.store, Uri(place.store.bucket, place.key), progress=self.progress, stop=self.stop)


def _beside(search: Search, asked: str, origin: Origin) -> tuple[Listing, Origin]:
    """The listing with the labels that lie beside the source, or as it is if there are none."""
    for labels in search.labels():
        listing = search.listing.with_labels(labels.files, labels.place.shown)
        beside = replace(origin, labels=labels.place, home=search.home)
        formats = _shown(listing, asked, beside)
        sets = any(isinstance(format_, SetFormat) for format_ in formats)
        if formats and (sets or not labels.sets_only):
            if (other := search.claimed_by(labels)) is not None:
                raise _unclear(labels, other, origin.split)
            listing.findings.append(_found(labels, "some" if labels.others else "all"))
            return listing, beside
    return search.listing, origin


def _shown(listing: Listing, asked: str, origin: Origin) -> Formats:
    """The formats that files may be labels of; none if no file may be. Without images there is nothing to look for."""
    if asked != AUTO and listing.images:
        format_ = FORMATS[asked]
        files = label_files(listing, format_) if isinstance(format_, FileFormat) else _any_of(listing, format_)
        return (format_,) if files else ()
    try:
        return _recognised(listing, asked, origin)
    except UserError:
        return ()


def _any_of(listing: Listing, format_: SetFormat) -> bool:
    return any(listing.by_suffix.get(suffix) for suffix in format_.suffixes)


def _has_unread_labels(listing: Listing, origin: Origin) -> bool:
    """Whether text with the names of images looks like labels that are not read: others are not theirs."""
    images = {name_of(image.path, YOLO) for image in listing.images}
    texts = (one for one in label_files(listing, YOLO) if one.size and name_of(one.path, YOLO) in images)
    return any(layout_of(YOLO.suffix, head(origin, one)) is not None for one in islice(texts, LOOKS))


def _recognised(listing: Listing, asked: str, origin: Origin) -> Formats:
    return recognise(listing, asked, split=origin.split, head=lambda entry: head(origin, entry))


def _unclear(labels: Labels, other: str, split: Split) -> UserError:
    uri, named = f"dataset.{split}.uri", f"dataset.{split}.labels.uri"
    return UserError(
        LABELS_OF_SEVERAL_FOLDERS,
        uri=Field(uri),
        labels=labels.place.shown,
        other=other,
        change_labels=Change(named),
    )


def _found(labels: Labels, case: str) -> Finding:
    fields: Fields = {"case": case, "count": len(labels.files), "others": labels.others}
    return Finding(LABELS_ELSEWHERE, labels.place.shown, fields, wide=True)
