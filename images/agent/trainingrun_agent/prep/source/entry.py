"""One object of a listing."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One object: key relative to the source, size in bytes, ETag. A tuple, because there are very many of them."""

    path: str
    size: int
    etag: str = ""
