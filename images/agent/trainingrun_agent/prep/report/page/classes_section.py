"""Objects per class, and which part of them is in the evaluation split.

Invariant: every class of the label map is in the table, also one without objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainingrun_agent.prep.report.page.charts import bar
from trainingrun_agent.prep.report.page.markup import Html, counted, join, name_of, number, percent, table, tag
from trainingrun_agent.terms import Terms

MAX_OPEN = 40
"""Rows of a table that are shown; the others are folded."""
MAX_DEVIATING = 30


def classes_section(document: Mapping[str, Any]) -> Html:
    """The table, the most frequent class first."""
    splits = [split for split in ("train", "eval") if split in document["splits"]]
    counts = {split: document["splits"][split]["perClass"] for split in splits}
    names = sorted(document["classes"], key=lambda name: -counts.get("train", {}).get(name, 0))
    rows = [
        (name_of(name, "span"), *(_cell(counts[split].get(name, 0), counts[split], split) for split in splits))
        for name in names
    ]
    head = ("Class", *(f"{split.capitalize()} objects" for split in splits))
    return join((_balance(counts.get("train", {})), _folded(head, rows, "Objects per class", "class", "classes")))


def split_section(document: Mapping[str, Any], terms: Terms) -> Html:
    """Which part of each class is in the evaluation split."""
    if "eval" not in document["splits"]:
        return _no_split(document.get("dataset") or {}, terms)
    if "train" not in document["splits"]:
        return tag("p", "There is nothing to train on, only an evaluation split.")
    rows = _shares(document)
    whole = _share(*(document["splits"][split]["objects"] for split in ("train", "eval")))
    lines = [
        (name_of(name, "span"), number(train), number(held), _dot(_share(train, held), whole))
        for name, train, held in rows
    ]
    head = ("Class", "Train", "Eval", f"Share in eval (all: {percent(whole)})")
    caption = "Share of each class in the evaluation split, the largest deviation first"
    made = table(head, lines[:MAX_DEVIATING], caption=caption, numeric=(1, 2))
    more = len(lines) - MAX_DEVIATING
    rest = tag("p", f"And {counted(more, 'class', 'classes')} closer to the whole.", class_="more") if more > 0 else ""
    return join((_how(document), _missing(rows), made, rest))


def _no_split(dataset: Mapping[str, Any], terms: Terms) -> Html:
    if fraction := dataset.get("evalFraction"):
        checked = "All images were checked as images for training."
        return tag("p", f"{checked} The dataset above sets {percent(float(fraction))} of them aside for evaluation.")
    return tag(
        "p",
        "There is no evaluation split: without one, there is no measure of how good the detector is. ",
        tag("code", terms.name("dataset.evalFraction")),
        " sets a share of the images aside.",
    )


def _cell(count: int, counts: Mapping[str, int], split: str) -> Html:
    whole, most = sum(counts.values()), max(counts.values(), default=0)
    shown = tag("span", number(count), tag("small", percent(count, whole)), class_="counted")
    return join((shown, bar(count / most if most else 0, split)))


def _balance(counts: Mapping[str, int]) -> Html:
    present = {name: count for name, count in counts.items() if count}
    if not present:
        return tag("p", "No class has objects to train on.")
    most, least = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
    parts = []
    if len(present) > 1:
        ratio = present[most] / present[least]
        parts.append(
            join(
                (
                    tag("strong", f"Imbalance {number(round(ratio, 1) if ratio < 100 else round(ratio))} : 1."),
                    " ",
                    name_of(most, "span"),
                    " has ",
                    counted(present[most], "object"),
                    " to train on, ",
                    name_of(least, "span"),
                    f" {number(present[least])}. ",
                )
            )
        )
    if absent := len(counts) - len(present):
        has = "has no object" if absent == 1 else "have no objects"
        parts.append(Html(f"{counted(absent, 'class', 'classes')} {has} to train on: the network cannot learn them."))
    return tag("p", *parts) if parts else Html("")


def _shares(document: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """Name, objects in train, objects in eval; classes furthest from the overall part first."""
    train, held = (document["splits"][split] for split in ("train", "eval"))
    whole = _share(train["objects"], held["objects"])
    rows = [(name, train["perClass"].get(name, 0), held["perClass"].get(name, 0)) for name in document["classes"]]
    return sorted(rows, key=lambda row: -abs(_share(row[1], row[2]) - whole) if row[1] + row[2] else 0)


def _share(train: int, held: int) -> float:
    return held / (train + held) if train + held else 0.0


def _how(document: Mapping[str, Any]) -> Html:
    split = document.get("split")
    if split is None:
        return tag("p", "Train and eval are two sources.")
    grouped = f", grouped by {split['groupBy']}" if split.get("groupBy") else ""
    text = (
        f"One source was split: a fraction of {split['fraction']} was asked for (seed {split['seed']}{grouped}), and "
        f"{percent(split['images'])} of the images are in eval."
    )
    if deviation := split.get("largestDeviation"):
        return tag(
            "p",
            text,
            " The class furthest from that is ",
            name_of(deviation["name"], "span"),
            f": {percent(deviation['share'])} of its objects are.",
        )
    return tag("p", text)


def _missing(rows: Sequence[tuple[str, int, int]]) -> Html:
    unseen = [name for name, _, held in rows if not held]
    if not unseen:
        return Html("")
    names = join(part for name in unseen[:8] for part in (name_of(name, "span"), ", "))
    more = f"and {counted(len(unseen) - 8, 'other')}, " if len(unseen) > 8 else ""
    return tag(
        "p",
        tag("strong", "Not evaluated: "),
        names,
        more,
        "as eval has no object of it." if len(unseen) == 1 else "as eval has no object of them.",
    )


def _dot(share: float, whole: float) -> Html:
    """The part as a dot on a line from 0 to 100 %, with a mark at the part of all classes together."""
    chart = tag(
        "svg",
        tag("rect", width=100, height=2, y=4, class_="track"),
        tag("rect", x=f"{100 * whole - 0.4:.1f}", width=0.8, height=10, class_="whole"),
        tag(
            "rect",
            x=f"{min(share, whole) * 100:.1f}",
            y=4,
            width=f"{abs(share - whole) * 100:.1f}",
            height=2,
            class_="fill-eval",
        ),
        tag("circle", cx=f"{100 * share:.1f}", cy=5, r=3, class_="fill-eval"),
        viewBox="-4 0 108 10",
        class_="dot",
        aria_hidden="true",
    )
    return tag("span", tag("span", percent(share)), chart, class_="share")


def _folded(head: Sequence[object], rows: Sequence[Sequence[object]], caption: str, one: str, many: str) -> Html:
    made = table(head, rows[:MAX_OPEN], caption=caption, quiet=True)
    rest = rows[MAX_OPEN:]
    if not rest:
        return made
    more = f"{counted(len(rest), one, many)} more"
    return join(
        (made, tag("details", tag("summary", more), table(head, rest, caption=f"{caption}: {more}", quiet=True)))
    )
