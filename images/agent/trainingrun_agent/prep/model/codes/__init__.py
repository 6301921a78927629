"""The table of all kinds of findings: code, severity, texts, example. `KINDS` has them by code.

Where a finding is made, the entry is named, so no code is written anywhere but here. docs/findings.md is generated from
these entries, and `trainingrun explain CODE` prints one.
"""

from trainingrun_agent.prep.model.codes import boxes, classes, image_files, label_files, pairs, whole
from trainingrun_agent.prep.model.codes.kind import KINDS, FindingKind

_MODULES = {
    "Image files": image_files,
    "Label files": label_files,
    "Which labels belong to which image": pairs,
    "Objects and their classes": classes,
    "Boxes": boxes,
    "The data set as a whole": whole,
}
GROUPS = {
    title: [kind for kind in vars(module).values() if isinstance(kind, FindingKind)]
    for title, module in _MODULES.items()
}
"""All kinds by what they are about, in the order in which preparation finds them."""

__all__ = ["GROUPS", "KINDS"]
