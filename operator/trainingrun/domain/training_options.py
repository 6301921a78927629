"""What the spec says of the best checkpoint, of early ends, recovery and retention, as the resolved document has it.

Invariant: all of it depends on the spec alone. Documents of earlier versions lack these fields, and their runs keep
what was usual then: the newest checkpoint is exported, every checkpoint is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

_SECONDS: Final = {"h": 3600, "m": 60, "s": 1}


def train_options(train: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `train` in the document."""
    stopping, keep = train.get("earlyStopping"), train.get("keepCheckpoints") or {}
    return {
        "metric": train.get("metric", "mAP"),
        "maxDurationSeconds": seconds(train["maxDuration"]) if "maxDuration" in train else None,
        "earlyStopping": None
        if stopping is None
        else {"patience": int(stopping["patience"]), "minDelta": decimal(stopping.get("minDelta", 0))},
        "keepCheckpoints": {
            "last": int(keep.get("last", 3)),
            "best": int(keep.get("best", 1)),
            "everyHours": keep.get("everyHours"),
        },
        "onDivergence": train.get("onDivergence", "Fail"),
        "onOutOfMemory": train.get("onOutOfMemory", "Fail"),
        "retries": {outcome: int(number) for outcome, number in (train.get("retries") or {}).items()},
    }


def export_options(export: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `export` in the document."""
    return {"checkpoint": export.get("checkpoint", "best"), "gate": _gate(export.get("gate"))}


def are_known_to(resolved: Mapping[str, Any]) -> bool:
    """Whether the agent of a run knows these options: its document was written by a version that has them."""
    return "checkpoint" in (resolved.get("export") or {})


def seconds(duration: str) -> int:
    """Seconds of a text such as 1h30m, which the CRD has checked."""
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)([hms])", duration, re.ASCII))


def decimal(number: float) -> str:
    """A number as the document has it: decimal digits, without an exponent."""
    text = f"{Decimal(str(number)):.12f}".rstrip("0").rstrip(".")
    return text[:16]


def _gate(gate: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if gate is None:
        return None
    bars = [{"class": bar.get("class"), **_scores(bar)} for bar in gate.get("perClass") or ()]
    return {**_scores(gate), "perClass": bars}


def _scores(bar: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: decimal(bar[name]) if name in bar else None for name in ("minMAP", "minAP50")}
