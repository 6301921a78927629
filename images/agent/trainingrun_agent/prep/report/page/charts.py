"""Charts as inline SVG: bars, columns, heat cells, marks.

Invariant: colours come from the style sheet only, so that light, dark and print differ there; every chart has a title
and a description, and no information is in colour alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trainingrun_agent.prep.report.page.markup import THIN_SPACE, Html, percent, tag

WIDTH, LEFT, TOP, RIGHT = 400, 40, 10, 12
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, 150
_FAINTEST = 0.14
_MARKS = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "M-3.6-3.6h7.2v7.2h-7.2z",
    "M0-4.6 4.4 3.6h-8.8z",
    "M0-5 5 0 0 5-5 0z",
    "M0 4.6 4.4-3.6h-8.8z",
    "M-1.6-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z",
)
POINTER = "M0 0 4 8h-8z"
"""A triangle whose upper corner marks the position."""


@dataclass(frozen=True)
class Series:
    """A row of shares in a chart, one for each column."""

    name: str
    values: Sequence[float]


def drawing(name: str, width: float, height: float, *content: Html, title: str, description: str) -> Html:
    """The chart; `name` is unique in the page."""
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-description"),
        *content,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_labelledby=f"{name}-title {name}-description",
        class_="chart",
    )


def bar(share: float, kind: str = "train") -> Html:
    """A bar in a table; hidden from screen readers, because the number is beside it."""
    rect = tag("rect", width=f"{100 * share:.1f}", height=6, class_=f"fill-{kind}")
    track = tag("rect", width=100, height=6, class_="track")
    return tag("svg", track, rect, viewBox="0 0 100 6", preserveAspectRatio="none", class_="bar", aria_hidden="true")


def text(content: object, x: float, y: float, anchor: str = "middle", **attributes: object) -> Html:
    """Text at a point of a chart."""
    return tag("text", content, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    """A straight line between two points."""
    return tag("path", d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", class_=class_)


def mark(index: int, x: float, y: float, title: str = "") -> Html:
    """A shape and a colour of its own for each of six; they begin again after that."""
    shape = index % len(_MARKS)
    titles = (tag("title", title),) if title else ()
    return tag("path", *titles, d=_MARKS[shape], transform=f"translate({x:.1f} {y:.1f})", class_=f"mark mark-{shape}")


def sample(index: int) -> Html:
    """The mark alone, for a legend."""
    return tag("svg", mark(index, 7, 7), viewBox="0 0 14 14", class_="sample", aria_hidden="true")


def heat(
    cells: Mapping[tuple[int, int], int],
    cell: float,
    at: Callable[[int, int], tuple[float, float]],
    place: Callable[[int, int], str],
) -> Html:
    """A square for each cell with something in it, the fuller the stronger; `place` describes where it is."""
    most = max(cells.values(), default=0)
    squares = []
    for (column, row), count in cells.items():
        if count:
            x, y = at(column, row)
            # The square root makes small counts visible beside large ones.
            strength = _FAINTEST + (1 - _FAINTEST) * (count / most) ** 0.5
            title = tag("title", f"{place(column, row)}: {count}")
            squares.append(_square(title, x, y, cell, strength))
    return tag("g", *squares, class_="heat")


def columns(
    name: str,
    labels: Sequence[str],
    titles: Sequence[str],
    series: Sequence[Series],
    *,
    title: str,
    axis: str,
    pointers: Sequence[float] = (),
) -> Html:
    """A histogram: columns side by side for each series; an empty label is no tick. `pointers` are in columns."""
    most = _rounded_up(max((value for one in series for value in one.values), default=0))
    step = PLOT_WIDTH / max(1, len(labels))
    base = TOP + PLOT_HEIGHT
    grid = [
        part
        for share in (0.5, 1)
        for part in (
            line(LEFT, base - share * PLOT_HEIGHT, WIDTH - RIGHT, base - share * PLOT_HEIGHT, "grid"),
            text(f"{100 * most * share:g}{THIN_SPACE}%", LEFT - 4, base - share * PLOT_HEIGHT + 4, "end"),
        )
    ]
    bars = [
        part
        for index, one in enumerate(series)
        for part in _bars(
            one, titles, most, left=LEFT + step * (0.08 + 0.84 * index / len(series)), step=step, of=len(series)
        )
    ]
    ticks = [text(label, LEFT + step * (index + 0.5), base + 22) for index, label in enumerate(labels) if label]
    arrows = [
        tag("path", d=POINTER, transform=f"translate({LEFT + step * (at + 0.5):.1f} {base + 2:.1f})", class_="pointer")
        for at in pointers
    ]
    return drawing(
        name,
        WIDTH,
        base + 42,
        *grid,
        *bars,
        line(LEFT, base, WIDTH - RIGHT, base, "axis"),
        *arrows,
        *ticks,
        text(axis, LEFT + PLOT_WIDTH / 2, base + 38, class_="axis-name"),
        title=title,
        description=_described(titles, series),
    )


def legend(series: Sequence[Series]) -> Html:
    """The legend, if there are two series."""
    keys = [
        tag(
            "span",
            tag(
                "svg",
                tag("rect", width=12, height=12, class_=f"fill-{one.name}"),
                viewBox="0 0 12 12",
                class_="key",
                aria_hidden="true",
            ),
            one.name,
        )
        for one in series
    ]
    return tag("span", *keys, class_="legend") if len(series) > 1 else Html("")


def _bars(one: Series, titles: Sequence[str], most: float, *, left: float, step: float, of: int) -> list[Html]:
    base = TOP + PLOT_HEIGHT
    width = step * 0.84 / of
    bars = []
    for index, value in enumerate(one.values):
        if value:
            height = max(1.0, PLOT_HEIGHT * value / most)
            title = tag("title", f"{titles[index]}: {percent(value)} of {one.name}")
            place = {"x": f"{left + index * step:.1f}", "y": f"{base - height:.1f}"}
            bars.append(
                tag("rect", title, **place, width=f"{width:.1f}", height=f"{height:.1f}", class_=f"fill-{one.name}")
            )
    return bars


def _rounded_up(share: float) -> float:
    """The end of an axis: the value, rounded up to a round number."""
    return next((end for end in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8) if share <= end), 1.0)


def _described(titles: Sequence[str], series: Sequence[Series]) -> str:
    peaks = []
    for one in series:
        if any(one.values):
            top = max(range(len(one.values)), key=one.values.__getitem__)
            peaks.append(f"{one.name}: most at {titles[top]}, {percent(one.values[top])}")
    return "; ".join(peaks) or "nothing to show"


def _square(title: Html, x: float, y: float, size: float, strength: float) -> Html:
    # A chart has up to a thousand: formatted directly, which is faster.
    return Html(
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{size:.2f}" height="{size:.2f}" fill-opacity="{strength:.2f}">'
        f"{title}</rect>"
    )
