"""Sizes of boxes at the network's input, compared with its anchors.

Invariant: widths and heights are those at the network's input; without a network they are in percent of the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log2
from typing import Any

from trainingrun_agent.prep.report.page.charts import bar, drawing, heat, line, mark, sample, text
from trainingrun_agent.prep.report.page.markup import Html, by, counted, figure, join, number, percent, table, tag

LENGTH = 340
"""Most cells of an axis."""
ABOVE = 2
"""Cells beyond the input's size: anchors may be larger than the image."""
LEAST_CELLS, MOST_CELLS = 10, 21
LEFT, TOP, RIGHT, BOTTOM = 44, 10, 8, 42
_MAX_ANCHORS = 12


@dataclass(frozen=True)
class Scale:
    """Logarithmic, two cells to the doubling, `cells` of them up to the whole input of `size` px."""

    cells: int
    size: float
    unit: str

    @property
    def side(self) -> float:
        """The width of a cell."""
        return LENGTH / (self.cells + ABOVE)

    def at(self, share: float) -> float:
        """Position on the axis of a size, as a part of the input; clamped to the ends."""
        if share <= 0:
            return 0.0
        return min(max(self.cells + 2 * log2(share), 0), self.cells + ABOVE) * self.side

    def pixels(self, halves: float) -> str:
        """The size that is this many cells below the whole input."""
        size = self.size * 2 ** (-halves / 2)
        return f"{size:.0f}" if size >= 10 else f"{size:.1f}"

    def cell(self, index: int) -> str:
        """The sizes in a cell of the histogram."""
        return f"{self.pixels(index + 1)} to {self.pixels(index)} {self.unit}"


def sizes_section(document: Mapping[str, Any]) -> Html:
    """The heat map with the anchors, and the feature maps."""
    train = document["splits"].get("train", {})
    sizes = train.get("statistics", {}).get("sizes", [])
    if not any(count for _, _, count in sizes):
        return tag("p", "There are no boxes to train on.")
    network = document.get("network")
    if network is None:
        return _heat_map(sizes, {"inputSize": 100, "featureMaps": []}, "%")
    summary = _summary(network, train["objects"])
    return join((tag("div", _heat_map(sizes, network, "px"), summary, class_="charts"), _feature_maps(network)))


def _summary(network: Mapping[str, Any], boxes: int) -> Html:
    size, small = network["inputSize"], network["tooSmall"]
    reached = (
        " of the boxes to train on have an anchor of their shape (IoU of 0.5 or more with both at the same"
        " centre). Boxes without one are matched to their best anchor anyway, and are learned worse."
    )
    share = f" ({percent(small, boxes)})" if small else ""
    unseen = (
        f"{share} {'are' if small > 1 else 'is'} narrower or lower than {network['leastSide']:g} px at the input of"
        f" {size} px: the network learns little from a box this small."
    )
    advice = " Cut large images into tiles, or label only what is larger." if small else ""
    facts = [
        tag("li", tag("strong", percent(network["reached"])), reached),
        tag("li", tag("strong", counted(small, "box", "boxes") if small else "No box"), unseen, advice),
    ]
    return tag("ul", *facts)


def _heat_map(sizes: Sequence[Sequence[int]], network: Mapping[str, Any], unit: str) -> Html:
    cells = {(i, j): count for i, j, count in sizes}
    scale = _scale(cells, network, unit)
    content = [
        *_axes(scale),
        heat(
            cells,
            scale.side,
            lambda i, j: (LEFT + (scale.cells - 1 - i) * scale.side, TOP + (j + ABOVE) * scale.side),
            lambda i, j: f"{scale.cell(i)} wide, {scale.cell(j)} high",
        ),
        *_least(scale, network),
        *_anchor_marks(scale, network["featureMaps"]),
    ]
    most = max(cells, key=cells.__getitem__)
    strongest = f"{scale.cell(most[0])} wide and {scale.cell(most[1])} high"
    peak = f"The darkest cell holds {counted(cells[most], 'box', 'boxes')}, {strongest}."
    drawn = drawing(
        "sizes",
        LEFT + LENGTH + RIGHT,
        TOP + LENGTH + BOTTOM,
        *content,
        title="Boxes to train on by width and height at the network's input",
        description=peak,
    )
    marks = (
        " Marks are the anchors of each feature map, as in the table below; boxes in the hatched area are too small."
        if network["featureMaps"]
        else ""
    )
    return figure(drawn, peak, marks)


def _scale(cells: Mapping[tuple[int, int], int], network: Mapping[str, Any], unit: str) -> Scale:
    """The axis down to the smallest box, anchor and visible size."""
    size = network["inputSize"]
    sides = [side for level in network["featureMaps"] for anchor in level["anchors"] for side in anchor]
    sides.append(network.get("leastSide", 0) / size)
    reach = [max(cell) + 2 for cell, count in cells.items() if count]
    reach += [ceil(-2 * log2(side)) + 1 for side in sides if side > 0]
    return Scale(min(max(LEAST_CELLS, *reach), MOST_CELLS), size, unit)


def _axes(scale: Scale) -> list[Html]:
    parts = []
    bottom = TOP + LENGTH
    for halves in range(0, scale.cells + 1, 2):
        along = (scale.cells - halves) * scale.side
        parts += [
            line(LEFT + along, TOP, LEFT + along, bottom, "grid"),
            line(LEFT, bottom - along, LEFT + LENGTH, bottom - along, "grid"),
        ]
        if halves % 4 == 0 or scale.cells <= 14:
            parts += [
                text(scale.pixels(halves), LEFT + along, bottom + 14),
                text(scale.pixels(halves), LEFT - 5, bottom - along + 4, "end"),
            ]
    whole = scale.cells * scale.side
    return [
        *parts,
        line(LEFT, bottom, LEFT + LENGTH, bottom, "axis"),
        line(LEFT, TOP, LEFT, bottom, "axis"),
        tag("path", d=f"M{LEFT} {bottom - whole:.1f}h{whole:.1f}v{whole:.1f}", class_="limit"),
        text(f"width at the input, {scale.unit}", LEFT + LENGTH / 2, bottom + 34, class_="axis-name"),
        text(
            f"height at the input, {scale.unit}",
            0,
            0,
            transform=f"translate(11 {TOP + LENGTH / 2:.1f}) rotate(-90)",
            class_="axis-name",
        ),
    ]


def _least(scale: Scale, network: Mapping[str, Any]) -> list[Html]:
    """The sizes that are too small for the network."""
    reach = scale.at(network.get("leastSide", 0) / network["inputSize"])
    if reach <= 0:
        return []
    hatch = tag(
        "pattern",
        tag("path", d="M0 0v6", class_="hatch"),
        id="unseen",
        width=6,
        height=6,
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )
    end = LENGTH
    outline = f"M{LEFT} {TOP}h{reach:.1f}V{TOP + end - reach:.1f}H{LEFT + end:g}V{TOP + end:g}H{LEFT}z"
    return [tag("defs", hatch), tag("path", d=outline, fill="url(#unseen)", class_="unseen")]


def _anchor_marks(scale: Scale, levels: Sequence[Mapping[str, Any]]) -> list[Html]:
    return [
        mark(
            index,
            LEFT + scale.at(width),
            TOP + LENGTH - scale.at(height),
            f"{_cells(level)}: anchor of {_anchor(width, height, scale.size)}",
        )
        for index, level in enumerate(levels)
        for width, height in level["anchors"]
    ]


def _feature_maps(network: Mapping[str, Any]) -> Html:
    levels = network["featureMaps"]
    whole, most = sum(level["boxes"] for level in levels), max(level["boxes"] for level in levels)
    rows = [
        (
            join((sample(index), f" {_cells(level)}")),
            f"{level['stride']:g}",
            _anchors(level["anchors"], network["inputSize"]),
            join(
                (
                    tag(
                        "span",
                        number(level["boxes"]),
                        tag("small", percent(level["boxes"], whole)),
                        class_="counted",
                    ),
                    bar(level["boxes"] / most if most else 0),
                )
            ),
        )
        for index, level in enumerate(levels)
    ]
    head = ("Feature map", "Stride, px", f"Anchors, {by('width', 'height')} in px", "Boxes it fits best")
    return table(head, rows, caption="The network's feature maps, the finest first", numeric=(1,))


def _cells(level: Mapping[str, Any]) -> str:
    return by(level["cells"], level["cells"])


def _anchors(anchors: Sequence[Sequence[float]], size: float) -> str:
    shown = list(dict.fromkeys(_anchor(width, height, size) for width, height in anchors))
    more = f" and {len(shown) - _MAX_ANCHORS} more" if len(shown) > _MAX_ANCHORS else ""
    return ", ".join(shown[:_MAX_ANCHORS]) + more


def _anchor(width: float, height: float, size: float) -> str:
    return by(f"{width * size:.0f}", f"{height * size:.0f}")
