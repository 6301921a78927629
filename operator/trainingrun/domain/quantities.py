"""Numbers as people read them: durations, bytes, counts, quantities of Kubernetes."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_BINARY: Final = {f"{letter}i": Decimal(2) ** (10 * power) for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL: Final = {
    letter: Decimal(10) ** (3 * power) for power, letter in enumerate("num kMGTPE", start=-3) if letter != " "
}
_UNITS: Final = {**_BINARY, **_DECIMAL, "": Decimal(1)}
_QUANTITY: Final = re.compile(
    r"([0-9]{1,30}(?:\.[0-9]{0,30})?)(?:([eE][+-]?[0-9]{1,2})|([KMGTPE]i|[numkMGTPE]))?", re.ASCII
)
_BYTE_UNITS: Final = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def duration(seconds: float) -> str:
    """Write seconds: 45s, 4m10s, 3h05m, 2d4h."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{min(whole // 86400, 9999)}d{whole % 86400 // 3600}h"


def size(count: float, *, total: float | None = None) -> str:
    """Write bytes: 512 B, 4.1 MB, 120/230 MB."""
    whole = count if total is None else total
    # A number that would be rounded to 1000 is written in the next unit.
    scale, unit = next(((scale, unit) for scale, unit in _BYTE_UNITS if whole >= 0.9995 * scale), (1, "B"))
    digits = 1 if scale > 1 and whole < 9.95 * scale else 0
    numbers = [f"{number / scale:.{digits}f}" for number in ((count,) if total is None else (count, total))]
    return f"{'/'.join(numbers)} {unit}"


def grouped(number: int) -> str:
    """Write a number in groups of three digits: 4 886."""
    return f"{number:,}".replace(",", " ")


def counted(number: int, word: str) -> str:
    """Write a number with its noun in the singular or plural: 1 error, 4 886 objects."""
    return f"{grouped(number)} {word}{'' if number == 1 else 's'}"


def parsed(quantity: object) -> Decimal:
    """Return a quantity of Kubernetes as a number; zero for a text that is none, or that no node can have."""
    found = _QUANTITY.fullmatch(str(quantity))
    if found is None:
        return Decimal()
    number, exponent, unit = found.groups()
    return Decimal(number) * (Decimal(10) ** int(exponent[1:]) if exponent else _UNITS[unit or ""])


def amount(resource: str, value: Decimal) -> str:
    """Write an amount of a resource: 2.1 CPU as 2.1, memory as 4.25Gi or 512Mi, others as they are counted."""
    if resource in {"memory", "ephemeral-storage"}:
        unit = "Gi" if value >= _UNITS["Gi"] else "Mi"
        return f"{_short(value / _UNITS[unit], digits=2)}{unit}"
    return _short(value, digits=3)


def _short(value: Decimal, *, digits: int) -> str:
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


def doubled(quantity: str) -> str:
    """Write twice a quantity of Kubernetes, such as 2Gi for 1Gi; empty for zero, and for a text that is none."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([eE][0-9]+|[A-Za-z]*)", quantity, re.ASCII)
    twice = 2 * Decimal(found[1]) if found else Decimal()
    return f"{twice:f}".removesuffix(".0") + found[2] if found and twice else ""
