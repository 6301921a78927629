"""Findings, kind by kind: how many, what was seen, what was done, what to do, with examples and pictures.

Invariant: every code that was counted is shown, even if none of its findings was kept; examples are bounded per code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainingrun_agent.prep.model.codes import KINDS
from trainingrun_agent.prep.model.codes.kind import FindingKind, Severity
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.report.page.gallery_section import sheet
from trainingrun_agent.prep.report.page.markup import Html, counted, join, name_of, number, table, tag
from trainingrun_agent.prep.report.page.pictures import Shown
from trainingrun_agent.prep.report.verdict import Outcome
from trainingrun_agent.terms import Terms

MAX_EXAMPLES = 20
_ORDER = list(Severity)
_SIGNS = {Severity.ERROR: "■", Severity.WARNING: "▲", Severity.INFO: "●"}


@dataclass(frozen=True)
class Occurrences:
    """How often one kind of finding was made, and those findings that the report keeps."""

    kind: FindingKind
    count: int
    kept: Sequence[Finding]


def by_kind(document: Mapping[str, Any]) -> list[Occurrences]:
    """The most serious kinds first, then the most frequent."""
    kept: dict[str, list[Finding]] = {}
    for finding in map(Finding.from_json, document["findings"]):
        kept.setdefault(finding.code, []).append(finding)
    found = [Occurrences(KINDS[code], count, kept.get(code, ())) for code, count in document["counts"].items()]
    return sorted(
        found, key=lambda one: (_ORDER.index(one.kind.severity), not one.kind.urgent, -one.count, one.kind.code)
    )


def badge(severity: Severity) -> Html:
    """The severity as a sign and a word."""
    return tag("span", f"{_SIGNS[severity]} {severity}", class_=f"badge {severity}")


def anchor(code: str) -> str:
    """The id of a code's section in the page."""
    return f"finding-{code}"


def findings_section(
    document: Mapping[str, Any],
    found: Sequence[Occurrences],
    pictures: Mapping[str, Sequence[Shown]],
    terms: Terms,
) -> Html:
    """One section for each kind of finding."""
    if not found:
        refused = document["verdict"]["outcome"] == Outcome.REFUSED
        return tag("p", "No single file has a finding." if refused else "No findings.")
    return join(_section(one, pictures.get(one.kind.code, ()), terms) for one in found)


def _section(found: Occurrences, pictures: Sequence[Shown], terms: Terms) -> Html:
    kind = found.kind
    count = tag("span", counted(found.count, "finding"), class_="count")
    heading = tag("h3", kind.code, " ", badge(kind.severity), " ", count)
    content = (heading, _advice(kind, terms), sheet(pictures), _examples(found, terms))
    return tag("section", *content, id=anchor(kind.code), class_="kind")


def _advice(kind: FindingKind, terms: Terms) -> Html:
    explain = tag("code", f"trainingrun explain {kind.code}")
    return join(
        tag("p", tag("strong", label), " ", text)
        for label, text in (
            ("Done:", kind.done_text(terms)),
            ("To do:", kind.advice_text(terms)),
            ("More:", join((kind.meaning, " ", explain))),
        )
    )


def _examples(found: Occurrences, terms: Terms) -> Html:
    shown = found.kept[:MAX_EXAMPLES]
    if not shown:
        return Html("")
    rows = [(_place(item), item.split, item.seen(terms)) for item in shown]
    made = table(("File", "Split", "Seen"), rows, caption=f"Files with {found.kind.code}", quiet=True)
    return join((made, _rest(found, len(shown))))


def _place(finding: Finding) -> Html:
    return join((name_of(finding.file), "" if finding.index is None else f" object {finding.index}"))


def _rest(found: Occurrences, shown: int) -> Html:
    more, kept = found.count - shown, len(found.kept) - shown
    if more <= 0:
        return Html("")
    where = "all in report.json" if kept == more else f"the first {number(kept)} of them in report.json"
    return tag("p", f"And {number(more)} more, {where if kept else 'only counted'}.", class_="more")
