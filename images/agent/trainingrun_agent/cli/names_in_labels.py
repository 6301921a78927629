"""The class names in the labels, for a command without --classes.

Invariant: names are used as they are written, in the order of the list that gives class ids their names, else sorted;
nothing is guessed for labels that hold numbers.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from itertools import count
from pathlib import Path

from trainingrun_agent.cli.options import MAX_CLASSES
from trainingrun_agent.cli.usage import UsageError
from trainingrun_agent.config import Source
from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.model.findings import Split
from trainingrun_agent.prep.source.image_labels import annotation_of
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
    names: set[str] = set()
    with open_best(
        listed.formats, listed.listing, listed.origin, listed.lists, scratch=scratch, progress=progress, stop=stop
    ) as best:
        pairs = best.labels.pairing.pairs
        for done, pair in zip(count(1), pairs, strict=False):
            if done % PROGRESS_EVERY == 0:
                raise_if_stopped(stop)
                progress.update(phase="reading", unit="files", done=done, total=len(pairs))
            with suppress(UnusableError):  # preparation reports it
                names.update(item.name for item in annotation_of(best.labels.read(pair), best.format.name).objects)
            if len(names) > MAX_CLASSES:
                raise UsageError(f"the labels have more than {MAX_CLASSES} names: name the classes with --classes")
    if not names and isinstance(best.format, FileFormat) and best.format.numbered and not best.labels.listed:
        raise UsageError(
            f"{best.format.name} labels hold numbers, and there is no classes.txt or data.yaml with their names: name"
            " the classes with --classes, in the order of the numbers"
        )
    ordered = [name for name in best.labels.listed if name in names]
    return (*ordered, *sorted(names.difference(ordered)))
