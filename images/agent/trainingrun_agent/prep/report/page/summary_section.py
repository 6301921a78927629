"""The head of the page: verdict, facts, and what to do first.

Invariant: the most serious findings come first, then the most frequent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainingrun_agent.prep.report.page.findings_section import Occurrences, anchor, badge
from trainingrun_agent.prep.report.page.markup import Html, counted, join, name_of, number, percent, table, tag
from trainingrun_agent.prep.report.verdict import Outcome, heading
from trainingrun_agent.terms import Terms

MAX_FIRST = 10
SPLITS = ("train", "eval")


def header(document: Mapping[str, Any]) -> Html:
    """The top of the page: title, verdict, facts."""
    return tag(
        "header",
        tag("h1", "Data set report"),
        tag("p", heading(document), class_="verdict"),
        tag("p", _meaning(document), class_="meaning"),
        _numbers(document) if document["splits"] else "",
    )


def _numbers(document: Mapping[str, Any]) -> Html:
    facts = (tag("div", tag("dt", term), tag("dd", fact)) for term, fact in _facts(document))
    return join((tag("p", counts(document), class_="counts"), tag("dl", *facts)))


def counts(document: Mapping[str, Any]) -> str:
    """364 images, 4 888 objects, 2 errors, 11 warnings."""
    parts = [
        counted(total(document, "images"), "image"),
        counted(total(document, "objects"), "object"),
        counted(document["errors"], "error"),
        counted(document["warnings"], "warning"),
    ]
    return ", ".join(parts)


def total(document: Mapping[str, Any], name: str) -> int:
    """The sum of a count over both splits."""
    return sum(split[name] for split in document["splits"].values())


def first(document: Mapping[str, Any], found: Sequence[Occurrences], terms: Terms) -> Html:
    """What a refusal asks for, and the most serious kinds of finding with what to do about each."""
    step = document["verdict"].get("nextStep")
    return join((tag("p", step) if step else "", _kinds(found, terms) if found or not step else ""))


def _kinds(found: Sequence[Occurrences], terms: Terms) -> Html:
    if not found:
        return tag("p", "No findings: nothing to do.")
    rows = [
        (
            join((tag("a", one.kind.code, href=f"#{anchor(one.kind.code)}"), " ", badge(one.kind.severity))),
            number(one.count),
            one.kind.advice_text(terms),
        )
        for one in found[:MAX_FIRST]
    ]
    more = len(found) - len(rows)
    made = table(
        ("Finding", "Count", "What to do"),
        rows,
        caption="The most serious findings first",
        quiet=True,
        numeric=(1,),
    )
    return join((made, tag("p", f"And {counted(more, 'other kind')} of finding, all below.") if more > 0 else ""))


def _meaning(document: Mapping[str, Any]) -> str:
    """What the verdict means for the reader."""
    given = document["verdict"]
    texts: dict[Outcome, str] = {
        Outcome.CLEAN: "No file and no box is lost.",
        Outcome.WARNINGS: "No file is lost. Warnings are about repairs, dropped boxes, and what makes the detector or"
        " its scores worse: look at them before training.",
        Outcome.ERRORS: "An error costs a file: the image is not used. A warning costs at most a box, an info nothing.",
        Outcome.REFUSED: given.get("message", ""),
    }
    return texts[Outcome(given["outcome"])]


def _facts(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    splits = document["splits"]
    facts: list[tuple[str, Any]] = [
        (f"{name.capitalize()} split", _split(splits[name])) for name in SPLITS if name in splits
    ]
    formats = sorted({split["format"] for split in splits.values()})
    if formats:
        facts.append(("Label format", ", ".join(formats)))
    facts.append(("Classes", number(len(document["classes"]))))
    if network := document.get("network"):
        facts.append(("Network", join((name_of(network["name"]), f", {network['inputSize']} px at its input"))))
    if intensity := document.get("intensityRange"):
        facts.append(("Images of more than 8 bits", f"{intensity[0]} is black, {intensity[1]} is white"))
    facts.append(("Digest of the data set", tag("code", document["digest"], class_="digest")))
    return facts


def _split(split: Mapping[str, Any]) -> str:
    parts = [counted(split["images"], "image"), counted(split["objects"], "object")]
    if split["negatives"]:
        parts.append(f"{number(split['negatives'])} without objects ({percent(split['negatives'], split['images'])})")
    if split["badFiles"]:
        parts.append(f"{counted(split['badFiles'], 'file')} skipped")
    parts += [f"{number(count)} {flag}" for flag, count in split["flags"].items() if count]
    return ", ".join(parts)
