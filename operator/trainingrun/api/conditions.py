"""Condition types, their polarity and the one function that sets them.

| type | True means | False means |
|---|---|---|
| Accepted | the spec is valid, allowed and resolved | it is not; the message says why |
| StorageReady | the last attempt could use the bucket | it could not; nothing is lost, see reason |
| Prepared, Trained, Exported | the result is in the bucket, never run again | reason says what it waits for |
| Succeeded | the run reached its end with all results | it ended without (`Unknown`: still running) |
| Finished | nothing more will happen, whatever the end | work goes on |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from trainingrun.api.names import Stage

ACCEPTED: Final = "Accepted"
STORAGE_READY: Final = "StorageReady"
SUCCEEDED: Final = "Succeeded"
FINISHED: Final = "Finished"
STAGE_CONDITION: Final = {Stage.PREP: "Prepared", Stage.TRAIN: "Trained", Stage.EXPORT: "Exported"}
# As people read them; what another version of the operator wrote comes last.
_ORDER: Final = (ACCEPTED, STORAGE_READY, *STAGE_CONDITION.values(), SUCCEEDED, FINISHED)

Condition = dict[str, Any]


def find(conditions: Iterable[Mapping[str, Any]], kind: str) -> Mapping[str, Any] | None:
    """Return the condition of that type, or None."""
    return next((c for c in conditions if c.get("type") == kind), None)


def is_true(conditions: Iterable[Mapping[str, Any]], kind: str) -> bool:
    """Tell whether the condition is there with status True."""
    found = find(conditions, kind)
    return found is not None and found.get("status") == "True"


def set_condition(
    conditions: list[Condition],
    kind: str,
    *,
    status: str,
    reason: str,
    message: str,
    generation: int,
    now: str,
) -> bool:
    """Write one condition into the list; return whether status or reason changed.

    `lastTransitionTime` moves only when `status` does (Kubernetes API conventions).
    """
    old = next((c for c in conditions if c.get("type") == kind), None)
    changed = old is None or old.get("status") != status or old.get("reason") != reason
    since = now if old is None or old.get("status") != status else old.get("lastTransitionTime", now)
    new: Condition = {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": since,
    }
    if old is None:
        conditions.append(new)
        conditions.sort(key=lambda entry: _ORDER.index(entry["type"]) if entry["type"] in _ORDER else len(_ORDER))
    else:
        old.clear()
        old.update(new)
    return changed
