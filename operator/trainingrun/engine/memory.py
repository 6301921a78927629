"""What the process remembers about runs besides their status.

Invariant: losing it costs a read or a write, never a wrong decision. It is by UID, and gone with the run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainingrun.api.run import Run
from trainingrun.domain.document import Document


@dataclass(frozen=True, slots=True)
class Unwritten:
    """What a status that was not stored would have recorded about objects, and what the stored status says of them."""

    stored: Mapping[str, object]
    wanted: Mapping[str, object]


@dataclass(slots=True)
class Memory:
    """Facts about one run."""

    uid: str
    text: str = ""  # of the run's document, read or written; it counts while the status has its digest
    document: Document | None = None  # the ConfigMap as it was read for the decision that is being made
    specs: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # of Jobs that the status may not record, by UID
    patched_at: float = -math.inf
    unwritten: Unwritten | None = None  # while the last status was not stored
    warnings_read_at: dict[str, float] = field(default_factory=dict)  # by UID of the object that does not start
    refused_since: dict[str, float] = field(
        default_factory=dict
    )  # by the reason of the Event that says so when it lasts

    def lasts(self, reason: str, *, now: float, seconds: float) -> bool:
        """Return whether something has been refused for so long; it is refused now."""
        return now - self.refused_since.setdefault(reason, now) >= seconds


class Memories:
    """The memories of all runs."""

    def __init__(self) -> None:
        self._by_key: dict[str, Memory] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def of(self, run: Run) -> Memory:
        """Return the memory of a run; a new run of an old name begins with an empty one."""
        known = self._by_key.get(run.key)
        if known is None or known.uid != run.uid:
            known = self._by_key[run.key] = Memory(run.uid)
        return known

    def forget(self, key: str) -> None:
        """Forget a run that is gone."""
        self._by_key.pop(key, None)
