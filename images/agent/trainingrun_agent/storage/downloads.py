"""Downloads that continue after an interruption from the byte that was received last.

Invariant: a file appears under its name only if size and digest are right, and its bytes are of one version of the
object. An interruption costs the bytes that were under way; a replaced version, or a digest that differs, costs all
that had arrived.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Any, Final

from trainingrun_agent.errors import IntegrityError, StorageOutage
from trainingrun_agent.storage.bulk import BulkError
from trainingrun_agent.storage.streams import Arrived, Part
from trainingrun_agent.terms import Text

WORTH_GOING_ON: Final = 1 << 20
"""Bytes after which an interrupted reading is continued at once; after fewer, retry.py waits first."""

NO_PART: Final = (400, 412, 416, 501)
"""Statuses of a part after which all is read: another version, a smaller object, or a server that has no parts."""
CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,19})-")

Read = Callable[[int, str], AbstractContextManager[Part]]
"""Opens an object from a byte on, of the version with this ETag.

The part begins with the first byte if the server has no such part, or cannot send parts.
"""


def download(readings: Iterable[Read], arrived: Arrived, *, size: int, sha256: str | None, where: Text) -> str:
    """Read until the object is there, with each of the `readings` as a whole if it is not what was promised.

    Returns its SHA-256 in hex. Raises IntegrityError, DiskFull, and what the last reading raises.
    """
    seen = ""
    for read in readings:
        try:
            _receive(read, arrived, limit=size, where=where)
        except BulkError:
            continue
        if arrived.size == size and sha256 in (None, arrived.hexdigest()):
            return arrived.keep()
        seen = f"{arrived.size} bytes with SHA-256 {arrived.hexdigest()}"
        arrived.restart()
    expected = f"{size} bytes{f' with SHA-256 {sha256}' if sha256 else ''}"
    raise IntegrityError(where=where, found=seen, expected=expected)


def _receive(read: Read, arrived: Arrived, *, limit: int, where: Text) -> None:
    """Receive what is missing, in as many readings as it takes while each gets further than all before."""
    while True:
        before = arrived.furthest
        try:
            if _received(read, arrived, limit=limit, where=where):
                return
        except (BulkError, StorageOutage):
            if arrived.furthest - before < WORTH_GOING_ON:
                raise


def _received(read: Read, arrived: Arrived, *, limit: int, where: Text) -> bool:
    """Receive the next part; False if it is of another version, so that all must be read again."""
    with read(arrived.size, arrived.etag) as part:
        if not arrived.fits(part):
            arrived.restart()
            if part.start:
                return False
        arrived.take(part, limit=limit, what=where)
    return True


def part_of(start: int, etag: str) -> dict[str, str]:
    """The parameters of boto3's GetObject for an object from a byte on, of the version with this ETag."""
    condition = {} if not etag or etag.startswith("W/") else {"IfMatch": etag}  # a weak one never matches
    return {"Range": f"bytes={start}-", **condition} if start else {}


def start_of(answer: Mapping[str, Any]) -> int:
    """Where the object begins in an answer to GetObject: -1 for a part of which the server does not say which."""
    if answer["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.PARTIAL_CONTENT:
        return 0
    found = CONTENT_RANGE.match(answer.get("ContentRange", ""))
    return int(found[1]) if found else -1
