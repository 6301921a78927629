"""Class names that change their meaning when an image is mirrored or turned, such as arrow_left and arrow_right.

Invariant: a class is found only together with its counterpart, so that a class `right` beside `wrong` is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal, get_args

Axis = Literal["horizontal", "vertical"]
AXES: Final[tuple[Axis, ...]] = get_args(Axis)

_PAIRS: Final[dict[Axis, tuple[tuple[str, str], ...]]] = {
    "horizontal": (
        ("left", "right"),
        ("l", "r"),
        ("lh", "rh"),
        ("lhs", "rhs"),
        ("port", "starboard"),
        ("links", "rechts"),
        ("gauche", "droite"),
        ("gauche", "droit"),
        ("izquierda", "derecha"),
        ("izquierdo", "derecho"),
        ("sinistra", "destra"),
        ("sinistro", "destro"),
        ("esquerda", "direita"),
        ("lewo", "prawo"),
        ("west", "east"),
        ("左", "右"),
        ("왼쪽", "오른쪽"),
    ),
    "vertical": (
        ("up", "down"),
        ("upper", "lower"),
        ("top", "bottom"),
        ("oben", "unten"),
        ("haut", "bas"),
        ("arriba", "abajo"),
        ("north", "south"),
        ("上", "下"),
    ),
}
_WORD: Final = re.compile(r"[左右上下]|\d+|[A-Z]?[^\W\d_A-Z左右上下]+|[A-Z]+")


def pairs(classes: Sequence[str], axis: Axis) -> list[tuple[str, str]]:
    """Pairs of classes whose names differ only in the words for the two directions, in the order of the classes."""
    known: dict[tuple[str, ...], str] = {}
    for name in classes:
        known.setdefault(_words(name), name)
    return [pair for words, name in known.items() for pair in _partners(words, name, known, axis)]


def _partners(
    words: tuple[str, ...], name: str, known: dict[tuple[str, ...], str], axis: Axis
) -> Iterator[tuple[str, str]]:
    for first, second in _PAIRS[axis]:
        if first in words:
            other = known.get(tuple(second if word == first else word for word in words))
            if other is not None:
                yield name, other


def _words(name: str) -> tuple[str, ...]:
    """The words of a name without their case; `arrowLeft`, `arrow-left` and `Arrow Left` have the same."""
    return tuple(word.casefold() for word in _WORD.findall(name))
