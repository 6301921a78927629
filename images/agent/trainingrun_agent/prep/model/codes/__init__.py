"""The table of all kinds of findings: code, severity, texts, example. `KINDS` has them by code.

Where a finding is made, the entry is named, so no code is written anywhere but here. docs/findings.md is generated from
these entries, and `trainingrun explain CODE` prints one.
"""

from trainingrun_agent.prep.model.codes import boxes, classes, image_files, label_files, pairs, whole
from trainingrun_agent.prep.model.codes.kind import KINDS

ROOMS = (image_files, label_files, pairs, classes, boxes, whole)
"""In the order of the pipeline, which is that of docs/findings.md."""

__all__ = ["KINDS", "ROOMS"]
