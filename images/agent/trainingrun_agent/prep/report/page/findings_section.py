"""Findings, kind by kind: how many, what was seen, what was done, what to do, with examples and pictures.

Invariant: every code counted is there, also where none of its findings was kept; examples are bounded per code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainingrun_agent.prep.report.page.gallery_section import sheet
from trainingrun_agent.prep.report.page.markup import Html, counted, join, name_of, number, table, tag
from trainingrun_agent.prep.report.page.pictures import Shown

MAX_EXAMPLES = 20
_ORDER = ("error", "warning", "info", "")
_SIGNS = {"error": "■", "warning": "▲", "info": "●"}
_NOT_KEPT = "Other findings are graver and fill the report; repair those first, then prepare again."


@dataclass(frozen=True)
class Kind:
    """All findings with one code; `severity` is empty where none of them was kept."""

    code: str
    severity: str
    count: int
    examples: Sequence[Mapping[str, Any]]

    @property
    def advice(self) -> str:
        """What to do about the first of them."""
        return str(self.examples[0]["hint"]) if self.examples else _NOT_KEPT


def kinds_of(document: Mapping[str, Any]) -> list[Kind]:
    """The gravest first, then the most frequent."""
    examples: dict[str, list[Mapping[str, Any]]] = {code: [] for code in document["counts"]}
    for finding in document["findings"]:
        examples.setdefault(finding["code"], []).append(finding)
    kinds = [
        Kind(code, _gravest(found), document["counts"].get(code, len(found)), found) for code, found in examples.items()
    ]
    return sorted(kinds, key=lambda kind: (_ORDER.index(kind.severity), -kind.count, kind.code))


def badge(severity: str) -> Html:
    """The severity as a sign and a word."""
    if not severity:
        return Html("")
    return tag("span", f"{_SIGNS[severity]} {severity}", class_=f"badge {severity}")


def anchor(code: str) -> str:
    """Where in the page the code is."""
    return "finding-" + re.sub("[^A-Za-z0-9-]", "_", code)


def findings_section(kinds: Sequence[Kind], pictures: Mapping[str, Sequence[Shown]]) -> Html:
    """All kinds."""
    if not kinds:
        return tag("p", "No findings.")
    return join(_kind(kind, pictures.get(kind.code, ())) for kind in kinds)


def _kind(kind: Kind, pictures: Sequence[Shown]) -> Html:
    heading = tag(
        "h3", kind.code, " ", badge(kind.severity), " ", tag("span", counted(kind.count, "finding"), class_="count")
    )
    return tag("section", heading, _advice(kind), sheet(pictures), _examples(kind), id=anchor(kind.code), class_="kind")


def _advice(kind: Kind) -> Html:
    return join(
        tag("p", tag("strong", label), " ", ", or: ".join(texts))
        for label, texts in (("Done:", _common(kind, "done")), ("To do:", _common(kind, "hint") or [_NOT_KEPT]))
        if texts
    )


def _examples(kind: Kind) -> Html:
    shown = kind.examples[:MAX_EXAMPLES]
    if not shown:
        return Html("")
    rows = [(_place(item), item["split"], item["seen"]) for item in shown]
    made = table(("File", "Split", "Seen"), rows, caption=f"Files with {kind.code}", quiet=True)
    return join((made, _rest(kind, len(shown))))


def _place(finding: Mapping[str, Any]) -> Html:
    return join((name_of(finding["file"]), f" object {finding['object']}" if "object" in finding else ""))


def _rest(kind: Kind, shown: int) -> Html:
    more, kept = kind.count - shown, len(kind.examples) - shown
    if more <= 0:
        return Html("")
    where = "all in report.json" if kept == more else f"the first {number(kept)} of them in report.json"
    return tag("p", f"And {number(more)} more, {where if kept else 'only counted'}.", class_="more")


def _common(kind: Kind, name: str) -> list[str]:
    """The texts that most findings of the kind share, two at most."""
    return list(dict.fromkeys(str(item[name]) for item in kind.examples))[:2]


def _gravest(found: Sequence[Mapping[str, Any]]) -> str:
    return min((str(item["severity"]) for item in found), key=_ORDER.index, default="")
