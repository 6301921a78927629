"""Build HTML from text that is always escaped.

Invariant: only results of `tag` are markup; other text is escaped, and characters that HTML forbids are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

_VOID = frozenset({"img", "link", "meta"})
# Forbidden by HTML, invisible, or an order of reading that would go on behind the text.
_UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufeff\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)
THIN_SPACE, TIMES = "\u202f", "\u00d7"


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element; `class_` is the attribute class, `text_anchor` is text-anchor. None leaves an attribute out."""
    start = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{start}>" if name in _VOID else f"<{name}{start}>{join(children)}</{name}>")


def join(children: Iterable[object]) -> Html:
    """Concatenate pieces of HTML."""
    return Html("".join(child if isinstance(child, Html) else escaped(child) for child in children))


def escaped(value: object) -> str:
    """Any text, for an element or an attribute."""
    return escape(_UNSHOWABLE.sub("\ufffd", str(value)))


def name_of(text: object, element: str = "code") -> Html:
    """A file or class name, isolated so that right-to-left text does not reorder its surroundings."""
    return tag("bdi", tag(element, text))


def number(value: float) -> str:
    """A number with thin spaces between thousands."""
    return f"{value:,}".replace(",", THIN_SPACE)


def counted(value: int, one: str, many: str = "") -> str:
    """A number with its noun: 1 image, 2 images."""
    return f"{number(value)} {one if value == 1 else many or one + 's'}"


def by(width: object, height: object) -> str:
    """300 x 300, on one line."""
    return f"{width}\u00a0{TIMES}\u00a0{height}"


def percent(part: float, whole: float = 1) -> str:
    """A percentage with at most one decimal; never 0 % or 100 % unless exact."""
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.1:
        text = "< 0.1"
    elif 99.9 < share < 100:
        text = "> 99.9"
    else:
        text = f"{share:.0f}" if share in (0, 100) else f"{share:.1f}"
    return f"{text}{THIN_SPACE}%"


def table(
    head: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    caption: str,
    quiet: bool = False,
    numeric: Sequence[int] = (),
) -> Html:
    """The first cell of a row is its header; `numeric` columns are set right. Scrolls alone when too wide.

    A `quiet` caption is read out, not shown: the heading above says the same.
    """
    kinds = ["number" if column in numeric else None for column in range(len(head))]
    columns = [tag("th", cell, scope="col", class_=kind) for cell, kind in zip(head, kinds, strict=True)]
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row", class_=kinds[0]),
            *(tag("td", cell, class_=kind) for cell, kind in zip(row[1:], kinds[1:], strict=True)),
        )
        for row in rows
    ]
    made = tag(
        "table",
        tag("caption", caption, class_="quiet" if quiet else None),
        tag("thead", tag("tr", *columns)),
        tag("tbody", *body),
    )
    return tag("div", made, class_="scroll", role="region", aria_label=caption, tabindex=0)


def figure(content: Html, *caption: object, class_: str | None = None) -> Html:
    """A chart or picture with its caption."""
    return tag("figure", content, tag("figcaption", *caption), class_=class_)
