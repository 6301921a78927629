"""Which side of a data set an image belongs to, where a fraction is kept for evaluation.

Invariant: it follows from the rule and the image's own path, so that no other image changes it.
"""

from __future__ import annotations

import hashlib

from trainingrun_agent.config import SplitRule
from trainingrun_agent.prep.findings import Split


def side(path: str, rule: SplitRule) -> Split:
    """The split of the image at a path."""
    drawn = int.from_bytes(hashlib.sha256(f"{rule.seed}\n{path}".encode()).digest()[:8], "big")
    return "eval" if drawn < rule.fraction * 2**64 else "train"
