"""Condition types, their polarity and the one function that sets them.

| type | True means | False means |
|---|---|---|
| Accepted | the spec is valid, allowed and resolved | the spec cannot run; the message says why |
| StorageReady | the last attempt could use the bucket | it could not (`Unknown`: the next one has not reported yet) |
| Prepared, Trained, Exported | the result is in the bucket, never run again | the reason says what it waits for |
| Qualified | the export reaches `export.gate`; only with a gate | it misses a score (`Unknown`: not exported) |
| Succeeded | the run has ended with all results | the run has failed (`Unknown`: not ended) |
| Finished | the run has ended, succeeded or failed | the run works or waits |

Who sets each of them, and who takes it back: docs/status.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from trainingrun.api.names import Stage
from trainingrun.api.reason import Reason
from trainingrun.api.status import Condition

ACCEPTED: Final = "Accepted"
STORAGE_READY: Final = "StorageReady"
QUALIFIED: Final = "Qualified"
SUCCEEDED: Final = "Succeeded"
FINISHED: Final = "Finished"
STAGE_CONDITION: Final = {Stage.PREP: "Prepared", Stage.TRAIN: "Trained", Stage.EXPORT: "Exported"}
# The order in which people read them; types that another version of the operator wrote come last.
_ORDER: Final = (ACCEPTED, STORAGE_READY, *STAGE_CONDITION.values(), QUALIFIED, SUCCEEDED, FINISHED)


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """Return the condition of that type, or None."""
    for condition in conditions:
        if condition.get("type") == kind:
            return condition
    return None


def is_true(conditions: Iterable[Condition], kind: str) -> bool:
    """Return whether the condition exists and has status True."""
    found = find(conditions, kind)
    return found is not None and found.get("status") == "True"


def set_condition(
    conditions: list[Condition],
    kind: str,
    *,
    status: Literal["True", "False", "Unknown"],
    reason: Reason,
    message: str,
    generation: int,
    now: str,
) -> bool:
    """Write one condition into the list; return whether status or reason changed.

    `lastTransitionTime` moves only when `status` does (Kubernetes API conventions).
    """
    old = find(conditions, kind)
    same_status = old is not None and old.get("status") == status
    new: Condition = {
        "type": kind,
        "status": status,
        "reason": reason.name,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": old.get("lastTransitionTime", now) if old is not None and same_status else now,
    }
    if old is None:
        conditions.append(new)
        conditions.sort(key=_position)
    else:
        conditions[conditions.index(old)] = new
    return old is None or not same_status or old.get("reason") != reason.name


def _position(condition: Condition) -> int:
    kind = condition["type"]
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)
