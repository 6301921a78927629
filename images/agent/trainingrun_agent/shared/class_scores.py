"""Scores of single classes from the exporter's metrics.json, which is not trusted.

Invariant: for any bytes the reader returns scores that fit, or none; it never raises.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final

from trainingrun_agent import bounded_json
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder, UnsafeFileError

METRICS: Final = "metrics.json"
MAX_BYTES: Final = 8 << 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scores:
    """Average precision: mean over IoU 0.5 to 0.95, and at IoU 0.5."""

    mean_ap: float
    ap50: float


def read_class_scores(folder: Folder) -> dict[str, Scores]:
    """The scores of each class that the evaluation images show; none of a class whose entry does not fit."""
    try:
        with folder.sub(names.EXPORT) as export:
            document = bounded_json.document(export.read(METRICS, max_bytes=MAX_BYTES))
    except (FileNotFoundError, UnsafeFileError, OSError, ValueError) as error:
        _log.warning("the scores of the classes are not known: %s", error)
        return {}
    entries = document.get("perClass")
    if not isinstance(entries, dict):
        _log.warning("the scores of the classes are not known: %s has no perClass", METRICS)
        return {}
    found = {name: _scores(entry) for name, entry in entries.items()}
    return {name: scores for name, scores in found.items() if scores is not None}


def _scores(entry: Any) -> Scores | None:
    if not isinstance(entry, dict):
        return None
    mean_ap, ap50 = score(entry.get("mAP")), score(entry.get("ap50"))
    return None if mean_ap is None or ap50 is None else Scores(mean_ap, ap50)


def score(value: Any) -> float | None:
    """An average precision; None for anything else, such as -1, which stands for images without any labelled box."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return float(value) if known else None
