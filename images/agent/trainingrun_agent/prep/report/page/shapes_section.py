"""Aspect ratios and places of boxes, sizes of images, boxes per image.

Invariant: histograms show percentages of a split, so that splits of different sizes can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import floor, log2
from typing import Any

from trainingrun_agent.prep.report.page.charts import Series, columns, drawing, heat, legend
from trainingrun_agent.prep.report.page.markup import Html, figure, tag

GRID, CELL, MARGIN = 32, 10, 1
MAX_BOXES = 50
_LEAST_ASPECT = 8
_OFTEN = 12
"""Most labels on an axis."""


def shapes_section(document: Mapping[str, Any]) -> Html:
    """Two charts: aspect ratios with the anchors' own, places."""
    charts = [_aspects(document), _centres(document)]
    return tag("div", *charts, class_="charts") if any(charts) else tag("p", "There are no boxes.")


def images_section(document: Mapping[str, Any]) -> Html:
    """Two charts: longest sides, boxes per image."""
    charts = [_sides(document), _boxes_per_image(document)]
    return tag("div", *charts, class_="charts") if any(charts) else tag("p", "There are no images.")


def _aspects(document: Mapping[str, Any]) -> Html:
    counts = _counts(document, "aspects")
    if not counts:
        return Html("")
    limit = max(_LEAST_ASPECT, *(abs(key) for bins in counts.values() for key in bins))
    keys = range(-limit, limit + 1)
    series = _series(counts, keys)
    ratios = [_ratio(key) for key in keys]
    anchors = sorted({round(4 * log2(width / height), 1) for width, height in _anchor_shapes(document)})
    drawn = columns(
        "aspects",
        [ratio if key % 4 == 0 else "" for key, ratio in zip(keys, ratios, strict=True)],
        [f"width : height about {ratio}" for ratio in ratios],
        series,
        title="Boxes by aspect ratio",
        axis="width : height in the image's pixels",
        pointers=[limit + at for at in anchors if abs(at) <= limit + 0.5],
    )
    note = (
        "Triangles are the ratios of the anchors. An SSD first scales each image to a square: the boxes of a 4 : 3"
        " image become narrower by a quarter."
    )
    return figure(drawn, tag("strong", "Aspect ratios of boxes."), legend(series), note if anchors else "")


def _ratio(key: int) -> str:
    """An aspect ratio such as 1 : 2, with a decimal if it is not whole."""
    ratio = 2 ** (abs(key) / 4)
    side = f"{ratio:.0f}" if key % 4 == 0 else f"{ratio:.1f}"
    return f"{side}:1" if key > 0 else f"1:{side}"


def _centres(document: Mapping[str, Any]) -> Html:
    counts = document["splits"].get("train", {}).get("statistics", {}).get("centres", [])
    if not any(counts):
        return Html("")
    cells = {(index % GRID, index // GRID): count for index, count in enumerate(counts)}
    size = GRID * CELL
    frame = tag("rect", x=MARGIN, y=MARGIN, width=size, height=size, class_="frame")
    squares = heat(
        cells,
        CELL,
        lambda column, row: (MARGIN + column * CELL, MARGIN + row * CELL),
        lambda column, row: f"{_place(column)} from the left, {_place(row)} from the top",
    )
    drawn = drawing(
        "centres",
        size + 2 * MARGIN,
        size + 2 * MARGIN,
        frame,
        squares,
        title="Where the centres of boxes to train on lie in the image",
        description=f"The darkest of {GRID} x {GRID} cells holds {max(counts)} centres.",
    )
    caption = (
        " All images stretched to one square; the strongest cell holds "
        f"{max(counts)}. Boxes that lie in few places are a habit of the camera, which the network learns too."
    )
    return figure(drawn, tag("strong", "Centres of boxes to train on."), caption, class_="square")


def _place(index: int) -> str:
    return f"{100 * index / GRID:.0f} to {100 * (index + 1) / GRID:.0f} %"


def _sides(document: Mapping[str, Any]) -> Html:
    counts = _counts(document, "imageSides")
    if not counts:
        return Html("")
    found = [key for bins in counts.values() for key in bins]
    size = (document.get("network") or {}).get("inputSize")
    if size:
        found.append(floor(2 * log2(size)))
    keys = range(min(found) - 1, max(found) + 2)
    series = _series(counts, keys)
    starts = [f"{2 ** (key / 2):.0f}" for key in keys]
    drawn = columns(
        "sides",
        _thinned(starts),
        [f"{start} to {2 ** ((key + 1) / 2):.0f} px" for key, start in zip(keys, starts, strict=True)],
        series,
        title="Images by their longest side",
        axis="longest side of the image file, px and more",
        pointers=[2 * log2(size) - keys[0] - 0.5] if size else [],
    )
    note = (
        f" The triangle is the network's input, {size} px: much larger images cost time and gain nothing."
        if size
        else ""
    )
    return figure(drawn, tag("strong", "Sizes of images."), legend(series), note)


def _boxes_per_image(document: Mapping[str, Any]) -> Html:
    counts = _counts(document, "boxesPerImage")
    if not counts:
        return Html("")
    keys = range(max(max(bins) for bins in counts.values()) + 1)
    series = _series(counts, keys)
    names = [str(key) if key <= MAX_BOXES else f"> {MAX_BOXES}" for key in keys]
    drawn = columns(
        "boxes-per-image",
        _thinned(names),
        [f"{name} boxes" for name in names],
        series,
        title="Images by number of boxes",
        axis="boxes in an image",
    )
    return figure(drawn, tag("strong", "Boxes per image."), legend(series))


def _counts(document: Mapping[str, Any], name: str) -> dict[str, dict[int, int]]:
    """Histograms of the splits that have data."""
    found = {
        split: document["splits"].get(split, {}).get("statistics", {}).get(name, []) for split in ("train", "eval")
    }
    bins = {split: {key: count for key, count in pairs if count} for split, pairs in found.items()}
    return {split: counts for split, counts in bins.items() if counts}


def _series(counts: Mapping[str, Mapping[int, int]], keys: Iterable[int]) -> list[Series]:
    keys = list(keys)
    return [Series(split, [bins.get(key, 0) / sum(bins.values()) for key in keys]) for split, bins in counts.items()]


def _thinned(labels: Sequence[str]) -> list[str]:
    every = -(-len(labels) // _OFTEN)
    return [label if index % every == 0 else "" for index, label in enumerate(labels)]


def _anchor_shapes(document: Mapping[str, Any]) -> list[tuple[float, float]]:
    levels = (document.get("network") or {}).get("featureMaps", [])
    return [(width, height) for level in levels for width, height in level["anchors"] if width > 0 < height]
