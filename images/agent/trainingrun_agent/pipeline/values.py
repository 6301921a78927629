"""Values of the scalar fields of pipeline.config: what a field takes, and how it is written."""

from __future__ import annotations

import math
import re
from typing import Any, Final

_RANGES: Final = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}
_WHOLE: Final = re.compile(r"([-+]?\d{1,20})(?:\.0+)?")
_NUMBER: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")


def kind(field: Any) -> str:
    """Name of a scalar type: `float`, `bool`, `string`, `enum`, or an integer's."""
    names = {number: name[5:].lower() for name, number in vars(type(field)).items() if name.startswith("TYPE_")}
    return str(names[field.type])


def expected(field: Any) -> str:
    """What a field takes, as the end of `it is …`."""
    known = kind(field)
    if known == "enum":
        return f"one of {', '.join(value.name for value in field.enum_type.values)}"
    if known in _RANGES:
        low, high = _RANGES[known]
        return "a whole number from 0 up" if low == 0 else f"a whole number up to {high}"
    return {"float": "a number", "double": "a number", "bool": "true or false"}.get(known, "a text")


def parse(field: Any, text: str) -> Any:
    """The value of a field that is written so. Raises ValueError."""
    known = kind(field)
    if known == "enum":
        return field.enum_type.values_by_name[text].number if text in field.enum_type.values_by_name else _no(text)
    if known in _RANGES:
        found, (low, high) = _WHOLE.fullmatch(text), _RANGES[known]
        number = int(found[1]) if found else _no(text)
        return number if low <= number <= high else _no(text)
    if known in ("float", "double"):
        amount = float(text) if _NUMBER.fullmatch(text) else _no(text)
        return amount if math.isfinite(amount) and abs(amount) < 3.4e38 else _no(text)
    if known == "bool":
        return {"true": True, "false": False}[text.lower()] if text.lower() in ("true", "false") else _no(text)
    text.encode()  # JSON can hold halves of characters
    return text


def written(field: Any, value: Any) -> str:
    """A value as proto text, without quotes."""
    known = kind(field)
    if known == "enum":
        named = field.enum_type.values_by_number.get(value)
        return str(value) if named is None else str(named.name)
    if known == "bool":
        return "true" if value else "false"
    return f"{value:.7g}" if known in ("float", "double") else str(value)


def _no(text: str) -> Any:
    raise ValueError(text)
