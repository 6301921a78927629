"""Numbers that a spec can hold as a number or as a string, in the one notation of the resolved document.

Invariant: text that is in this notation already stays as it is, so that documents of earlier versions are made again.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_PLAIN: Final = re.compile(r"[0-9]*\.?[0-9]+")


def plain(value: float | str) -> str:
    """A number without exponent: `0.001` for 0.001, 1e-3, "0.001" and "1e-3". The CRD bounds what can come here."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) else format(Decimal(text), "f")
