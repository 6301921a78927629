"""Finished runs as the cache holds them: spec and status compressed, a tenth of the memory, until someone reads them.

Thousands of finished runs stay until their users delete them, and hardly anything is asked about them.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, cast

from trainingrun.api import bounded_json, conditions
from trainingrun.api.run import Run
from trainingrun.api.status import Status

UNREADABLE: Final = (AttributeError, KeyError, TypeError)  # of a status that the schema does not allow
_LEVEL: Final = 6


class Packed(Mapping[str, Any]):
    """A JSON object in few bytes; each access reads all of it again."""

    __slots__ = ("data",)

    def __init__(self, value: Mapping[str, Any]) -> None:
        """Raises ValueError or RecursionError for what is nested so deeply that reading it again could fail."""
        text = json.dumps(value, separators=(",", ":")).encode()
        bounded_json.document(text)
        self.data = zlib.compress(text, _LEVEL)

    def unpacked(self) -> dict[str, Any]:
        """Return the object as it was."""
        found: dict[str, Any] = bounded_json.loads(zlib.decompress(self.data))
        return found

    def __getitem__(self, key: str) -> Any:
        return self.unpacked()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.unpacked())

    def __len__(self) -> int:
        return len(self.unpacked())


def pack(run: Run) -> Run:
    """Return a finished run in few bytes; any other run as it is."""
    if not _is_finished(run) or isinstance(run.spec, Packed):
        return run
    try:
        spec, status = Packed(run.spec), cast("Status", Packed(run.status))
    except (ValueError, RecursionError):
        return run
    return replace(run, namespace=sys.intern(run.namespace), spec=spec, status=status)


def unpack(run: Run) -> Run:
    """Return a run whose spec and status can be read often."""
    if not isinstance(run.spec, Packed):
        return run
    status = cast("Packed", run.status)
    return replace(run, spec=run.spec.unpacked(), status=cast("Status", status.unpacked()))


def _is_finished(run: Run) -> bool:
    with suppress(*UNREADABLE):
        return conditions.is_true(run.status.get("conditions", []), conditions.FINISHED)
    return False
