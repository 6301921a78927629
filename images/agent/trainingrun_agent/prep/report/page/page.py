"""report.html: the report as one page.

Invariant: the page allows itself nothing but its own style and pictures (Content-Security-Policy), so that no text from
a data set can do anything in it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from trainingrun_agent.prep.report.page.classes_section import classes_section, split_section
from trainingrun_agent.prep.report.page.dataset_section import dataset_section
from trainingrun_agent.prep.report.page.findings_section import by_kind, findings_section
from trainingrun_agent.prep.report.page.gallery_section import groups_of, samples_section
from trainingrun_agent.prep.report.page.markup import Html, join, tag
from trainingrun_agent.prep.report.page.pictures import Shown
from trainingrun_agent.prep.report.page.shapes_section import images_section, shapes_section
from trainingrun_agent.prep.report.page.sizes_section import sizes_section
from trainingrun_agent.prep.report.page.style import STYLE
from trainingrun_agent.prep.report.page.summary_section import first, header, total
from trainingrun_agent.prep.report.verdict import heading
from trainingrun_agent.terms import Terms

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; base-uri 'none'; form-action 'none'"
_BOXES = (
    "In pictures, the box that a finding is about has a thick dashed orange line, other boxes a thin solid blue one."
)


def render(document: Mapping[str, Any], pictures: Sequence[Shown], terms: Terms) -> str:
    """The page of a report.json, as text to be stored in UTF-8."""
    sections = _sections(document, pictures, terms)
    links = [tag("li", tag("a", title, href=f"#{name}")) for name, title, _ in sections]
    contents = tag("nav", tag("ol", *links), aria_label="Contents") if len(links) > 1 else ""
    body = [tag("section", tag("h2", title), content, id=name) for name, title, content in sections]
    return whole_page(f"Data set report: {heading(document)}", join((header(document), contents, tag("main", *body))))


def whole_page(title: str, body: Html) -> str:
    """A page with this title and content."""
    return f"<!doctype html>\n{tag('html', _head(title), tag('body', body), lang='en')}\n"


def _sections(document: Mapping[str, Any], pictures: Sequence[Shown], terms: Terms) -> list[tuple[str, str, Html]]:
    found, groups = by_kind(document), groups_of(pictures)
    note = tag("p", _BOXES) if pictures else Html("")
    samples = samples_section(document["classes"], groups)
    sections = [("first", "What to do first", first(document, found, terms))]
    if dataset := document.get("dataset"):
        sections.append(("dataset", "The dataset of a TrainingRun", dataset_section(dataset)))
    if total(document, "images"):
        sections += [
            ("classes", "Objects per class", classes_section(document)),
            ("split", "The evaluation split", split_section(document, terms)),
            ("sizes", "Box sizes and the network", sizes_section(document)),
            ("shapes", "Shapes and places of boxes", shapes_section(document)),
            ("images", "Images", images_section(document)),
        ]
    if found or document["splits"]:
        sections.append(("findings", "Findings", join((note, findings_section(document, found, groups, terms)))))
    if samples:
        sections.append(("samples", "Sample images per class", samples))
    return sections


def _head(title: str) -> Html:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        tag("style", Html(STYLE)),
    )
