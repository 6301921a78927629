"""The class names in the labels, for a command without --classes.

Invariant: names are used as they are written, sorted; nothing is guessed for labels that hold numbers.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

from trainingrun_agent.cli.options import MAX_CLASSES
from trainingrun_agent.cli.usage import UsageError
from trainingrun_agent.config import Source
from trainingrun_agent.prep.image.check import annotation_of
from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.source import fetch
from trainingrun_agent.prep.source.labels import MAX_LIST_BYTES, Origin
from trainingrun_agent.prep.source.listing import Listing
from trainingrun_agent.prep.source.locate import Sources
from trainingrun_agent.prep.source.readers import FileFormat
from trainingrun_agent.prep.source.several import open_best
from trainingrun_agent.progress import Progress
from trainingrun_agent.stopping import raise_if_stopped
from trainingrun_agent.storage.base import StoreFor
from trainingrun_agent.terms import Terms

PROGRESS_EVERY = 100


def names_in_labels(
    store_for: StoreFor,
    source: Source,
    split: Split,
    *,
    terms: Terms,
    scratch: Path,
    progress: Progress,
    stop: threading.Event,
) -> tuple[str, ...]:
    """The names in the labels of a source. Raises UsageError, UserError, what storage raises, Interrupted."""
    listed = Sources(store_for, (), terms, progress, stop).list(source, split)
    formats, listing, origin = listed.formats, listed.listing, listed.origin
    first = formats[0]
    if isinstance(first, FileFormat) and first.class_list is not None:
        return _listed(first, listing, origin)
    names: set[str] = set()
    with open_best(formats, listing, origin, scratch=scratch, progress=progress, stop=stop) as best:
        pairs = best.labels.pairing.pairs
        for done, pair in zip(count(1), pairs, strict=False):
            if done % PROGRESS_EVERY == 0:
                raise_if_stopped(stop)
                progress.update(phase="reading", unit="files", done=done, total=len(pairs))
            with suppress(UnusableError):  # preparation reports it
                names.update(item.name for item in annotation_of(best.labels.read(pair), best.format.name).objects)
            if len(names) > MAX_CLASSES:
                raise UsageError(f"the labels have more than {MAX_CLASSES} names: name the classes with --classes")
    return tuple(sorted(names))


def _listed(format_: FileFormat, listing: Listing, origin: Origin) -> tuple[str, ...]:
    lists = dict(_lists(format_, listing, origin))
    if len(set(lists.values())) == 1:
        return next(iter(lists.values()))
    found = (
        f"{' and '.join(sorted(lists))} differ" if lists else "there is no classes.txt or data.yaml with their names"
    )
    raise UsageError(
        f"{format_.name} labels hold numbers, and {found}: name the classes with --classes, in the order of the numbers"
    )


def _lists(format_: FileFormat, listing: Listing, origin: Origin) -> Iterator[tuple[str, tuple[str, ...]]]:
    assert format_.class_list is not None
    for entry in listing.annotations:
        if entry.size > MAX_LIST_BYTES:
            continue
        if format_.class_list(entry.path, b"") is None and not entry.path.endswith(format_.list_suffixes):
            continue
        names = format_.class_list(entry.path, fetch.read(origin.labels, entry, limit=MAX_LIST_BYTES))
        if names:
            yield entry.path, tuple(names)
