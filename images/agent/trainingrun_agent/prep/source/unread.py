"""Images in formats that are not read: HEIC, AVIF, a camera's own.

Invariant: they are never images of a data set. One that lies beside an image of its name is a copy of it, and not told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from trainingrun_agent.prep.model.codes.image_files import IMAGE_FORMAT_NOT_READ, IMAGES_LEFT_OUT
from trainingrun_agent.prep.model.codes.kind import Fields
from trainingrun_agent.prep.model.codes.pairs import ANNOTATION_WITHOUT_IMAGE, IMAGE_MISSING
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.listing import Listing, suffix_of
from trainingrun_agent.prep.source.spelling import fold
from trainingrun_agent.prep.source.unread_formats import UNREAD_SUFFIXES

_WITHOUT_IMAGE = (ANNOTATION_WITHOUT_IMAGE.code, IMAGE_MISSING.code)


def explain(findings: Iterable[Finding], listing: Listing) -> list[Finding]:
    """Findings about labels without image, with the image that is there but not read; and one about all others."""
    if not listing.unread:
        return list(findings)
    images = {_name(entry.path) for entry in listing.images}
    unread = {name: entry for entry in listing.unread if (name := _name(entry.path)) not in images}
    labelled = set[str]()
    explained = []
    for finding in findings:
        name = _name(finding.file)
        if finding.code in _WITHOUT_IMAGE and name in unread:
            labelled.add(name)
            explained.append(_of_labels(finding, unread[name].path))
        else:
            explained.append(finding)
    left_out = [entry for name, entry in unread.items() if name not in labelled]
    return [*_left_out(left_out), *explained]


def _of_labels(finding: Finding, other: str) -> Finding:
    fields = {"case": "labels", "other": other, "format": _format(other)}
    return Finding(IMAGE_FORMAT_NOT_READ, finding.file, fields, split=finding.split)


def _left_out(entries: list[Entry]) -> list[Finding]:
    if not entries:
        return []
    counts = Counter(_format(entry.path) for entry in entries)
    formats = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    fields: Fields = {"count": len(entries), "format": formats, "first": min(entry.path for entry in entries)}
    return [Finding(IMAGES_LEFT_OUT, "", fields, wide=True)]


def _format(path: str) -> str:
    return UNREAD_SUFFIXES[suffix_of(path)]


def _name(path: str) -> str:
    """The name of a file without folders and suffixes, by which it is known in any format."""
    name = fold(path[path.rfind("/") + 1 :])
    stem = name.rpartition(".")[0] or name
    return stem.rpartition(".")[0] if suffix_of(stem) in UNREAD_SUFFIXES else stem  # a.heic.xml
