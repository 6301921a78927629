"""What the process remembers about runs besides their status.

Invariant: losing it costs a read or a write, never a wrong decision. It is by UID, and gone with the run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from trainingrun.api.run import Run
from trainingrun.domain.document import Document

READ_WARNINGS_SECONDS: Final = 2.0  # a run that waits is looked at every three
READ_WARNINGS_LATER_SECONDS: Final = 6.0
EARLY_SECONDS: Final = 20.0
MISSED_SECONDS: Final = 5.0  # when what still does not start is looked for: the watch may have missed its deletion


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
    pods_read: bool = False  # for the decision that is being made
    specs: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # of Jobs that the status may not record, by UID
    patched_at: float = -math.inf
    unwritten: Unwritten | None = None  # while the last status was not stored
    accounted: Run | None = None  # the newest version that was counted and logged
    refusal: str = ""  # why the server does not store the status, as it was logged
    # When its warning Events were read first and last, by UID of the object that does not start.
    warnings_read_at: dict[str, tuple[float, float]] = field(default_factory=dict)
    # When the server first refused what it refuses now, by the reason of the Event that says so when it lasts.
    refused_since: dict[str, float] = field(default_factory=dict)

    def warnings_to_read(self, uids: list[str], *, now: float) -> list[str]:
        """Return the objects whose warnings are read now: often at first, seldom for one that has waited for long."""
        known = {uid: self.warnings_read_at.get(uid, (now, -math.inf)) for uid in uids}
        due = [uid for uid, (first, last) in known.items() if now - last >= _pause(now - first)]
        self.warnings_read_at = {uid: (first, now if uid in due else last) for uid, (first, last) in known.items()}
        return due

    def may_be_gone(self, uid: str, *, now: float) -> bool:
        """Return whether an object has not started for so long that it is looked for."""
        return now - self.warnings_read_at[uid][0] >= MISSED_SECONDS

    def lasts(self, reason: str, *, now: float, seconds: float) -> bool:
        """Return whether something has been refused for so long; it is refused now."""
        return now - self.refused_since.setdefault(reason, now) >= seconds


def _pause(since_first: float) -> float:
    return READ_WARNINGS_SECONDS if since_first < EARLY_SECONDS else READ_WARNINGS_LATER_SECONDS


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
