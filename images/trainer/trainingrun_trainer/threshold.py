"""The score from which detections are worth showing: where F1 over the evaluated images is highest.

A detection is right when it overlaps a labelled box of its class with an IoU of at least 0.5 that no better detection
has taken. Precision is the share of right detections, recall the share of labelled boxes found, F1 their harmonic mean.
"""

import math
from typing import Any, Dict, List, Sequence, Tuple

DEFAULT_THRESHOLD = 0.5  # where nothing was detected or labelled
DECIMALS = 1000


def suggest(detections: Sequence[Tuple[float, bool]], labelled: int) -> Dict[str, Any]:
    """The threshold for (score, right) of all detections, with the precision, recall and F1 that it gives."""
    ordered = sorted(detections, reverse=True)
    best, least, found, right = 0.0, DEFAULT_THRESHOLD, 0, 0
    for score, is_right in ordered:
        found, right = found + 1, right + is_right
        if _f1(right, found, labelled) > best:
            best, least = _f1(right, found, labelled), score
    threshold = math.floor(least * DECIMALS) / DECIMALS
    above = [is_right for score, is_right in ordered if score >= threshold]
    right = sum(above)
    return {
        "scoreThreshold": threshold,
        "precision": round(right / len(above), 4) if above else 0.0,
        "recall": round(right / labelled, 4) if labelled else 0.0,
        "f1": round(_f1(right, len(above), labelled), 4),
    }


def matches(eval_images: Sequence[Any], areas: int, images: int) -> Tuple[List[Tuple[float, bool]], int]:
    """(score, right) of all detections, and how many boxes are labelled, from `COCOeval.evalImgs` at IoU 0.5.

    The entries are ordered by class, area and image; those of the first area, which is all sizes, count.
    """
    found, labelled = [], 0
    for index, entry in enumerate(eval_images):
        if entry is None or (index // images) % areas:
            continue
        labelled += int((entry["gtIgnore"] == 0).sum())
        found += [(float(score), bool(match)) for score, match in zip(entry["dtScores"], entry["dtMatches"][0])]
    return found, labelled


def _f1(right: int, found: int, labelled: int) -> float:
    return 2.0 * right / (found + labelled) if found + labelled else 0.0
