"""The range of a source's images of more than 8 bits, from some of them.

Invariant: which images are looked at follows from the paths alone, and not from their order; a few of them are in
memory at once, one of them decoded.
"""

from __future__ import annotations

import hashlib
import threading
from array import array
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from heapq import nsmallest
from typing import Any

from trainingrun_agent.errors import NotFound
from trainingrun_agent.ordered import Bounds, ordered_map
from trainingrun_agent.prep.image import images
from trainingrun_agent.prep.image.intensity import IntensityRange, range_of
from trainingrun_agent.prep.model.annotation import UnusableError
from trainingrun_agent.prep.source import fetch
from trainingrun_agent.prep.source.entry import Entry
from trainingrun_agent.prep.source.place import Place

LOOKED_AT = 64
"""Images that are looked at: those whose paths have the least hashes, so that few change when images are added."""
_SUFFIXES = (".png", ".tif", ".tiff")
_PNG, _DEPTH, _DEEP = b"\x89PNG\r\n\x1a\n", 24, 16
"""How a PNG begins, where it has the bits of a channel, and how many they are in a deep one."""
_READS_AT_ONCE = 4
_BOUNDS = Bounds(max_items=2 * _READS_AT_ONCE, max_cost=64 << 20)


def sampled_range(place: Place, entries: Iterable[Entry], stop: threading.Event) -> IntensityRange | None:
    """The range, None if none of the images that are looked at needs one. Raises what storage raises, Interrupted."""
    decoding = threading.Lock()
    chosen = nsmallest(LOOKED_AT, (one for one in entries if one.path.lower().endswith(_SUFFIXES)), key=_hash)
    with ThreadPoolExecutor(_READS_AT_ONCE, "sample") as pool:
        values = ordered_map(
            lambda entry: _values(place, entry, decoding),
            chosen,
            cost=lambda entry: min(entry.size, images.MAX_BYTES),
            bounds=_BOUNDS,
            stop=stop,
            pool=pool,
        )
        return range_of(values)


def _hash(entry: Entry) -> bytes:
    return hashlib.sha256(entry.path.encode("utf-8", "surrogatepass")).digest()


def _values(place: Place, entry: Entry, decoding: threading.Lock) -> array[Any]:
    """Some values of an image; none if it has 8 bits, floating-point pixels, or cannot be read."""
    nothing: array[Any] = array("i")
    try:
        if not entry.size or _is_flat_png(place.store.get_range(place.key_of(entry.path), start=0, length=_DEPTH + 1)):
            return nothing
        data = fetch.read(place, entry, limit=images.MAX_BYTES)
        with decoding, images.opened(data) as source:
            deep = source.head.deep and source.head.mode != "F"
            return images.values_of(source) if deep else nothing
    except (NotFound, UnusableError):  # found again, and told, when all images are checked
        return nothing


def _is_flat_png(head: bytes) -> bool:
    return head.startswith(_PNG) and len(head) > _DEPTH and head[_DEPTH] < _DEEP
