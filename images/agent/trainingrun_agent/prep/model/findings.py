"""Findings about the data, one per defect, and their collection.

Invariant: counts are complete; the findings kept are bounded, some of every code; errors come before warnings before
infos, each in the order of files and objects. Contract: images/contracts/report.schema.json.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Literal

from trainingrun_agent.prep.model.codes import KINDS
from trainingrun_agent.prep.model.codes.kind import Fields, FindingKind, Severity, bounded
from trainingrun_agent.terms import Terms

MAX_FINDINGS, OF_EACH_CODE = 1000, 10
MAX_FILE = 1024

Split = Literal["train", "eval"]
UNKNOWN_FINDING = (KeyError, TypeError, AttributeError, ValueError)
"""Raised for a stored finding that this version cannot describe."""


@dataclass(slots=True)
class Finding:
    """One defect; `file` is relative to the source's URI, `index` the object's place in its file, from 0.

    `fields` are what its text is made from. `wide`: about the labels of many images, so that it explains other
    findings. Never changed once made; not frozen, because that doubles the time to make one.
    """

    kind: FindingKind
    file: str
    fields: Fields = field(default_factory=dict)
    index: int | None = None
    split: Split = "train"
    wide: bool = False

    def __post_init__(self) -> None:
        self.fields = bounded(self.fields)

    @property
    def code(self) -> str:
        """Stable name of its kind."""
        return self.kind.code

    @property
    def severity(self) -> Severity:
        """Severity of its kind."""
        return self.kind.severity

    def in_split(self, split: Split) -> Finding:
        """The same finding in another split."""
        return replace(self, split=split)

    def seen(self, terms: Terms) -> str:
        """What was seen, for people."""
        return self.kind.describe(self.fields, terms)

    def line(self, terms: Terms) -> str:
        """File, object, code and what was seen, in one line."""
        where = self.file if self.index is None else f"{self.file} object {self.index}"
        return ": ".join(text for text in (where, self.code, self.seen(terms)) if text)

    def to_json(self) -> dict[str, Any]:
        """As in the schema, without any text of ours."""
        document: dict[str, Any] = {
            "code": self.code,
            "severity": str(self.severity),
            "split": self.split,
            "file": self.file[:MAX_FILE],
            "fields": self.fields,
        }
        return document if self.index is None else {**document, "object": self.index}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Finding:
        """The inverse of `to_json`. Raises one of UNKNOWN_FINDING if this version cannot describe it."""
        kind, stored = KINDS[document["code"]], document["fields"]
        if not isinstance(stored, dict):
            raise TypeError("the fields of a finding are an object")
        fields = bounded(stored)
        kind.check(fields)
        return cls(kind, document["file"], fields, document.get("object"), document["split"])

    @property
    def place(self) -> tuple[bool, bool, str, int, str]:
        """Sort key: findings about many images first, then by split, file, object and code."""
        return not self.wide, self.split == "eval", self.file, -1 if self.index is None else self.index, self.code


class Findings:
    """Collects and counts findings. Collections of parts can be merged in any order."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.severities: Counter[Severity] = Counter()
        self._kept: dict[str, list[Finding]] = {}
        """By code."""

    def extend(self, found: Iterable[Finding]) -> None:
        """Count findings, and keep as many as the bounds allow."""
        for finding in found:
            self.counts[finding.code] += 1
            self.severities[finding.severity] += 1
            self._keep(finding.code, (finding,))

    def merge(self, other: Findings) -> None:
        """Add the findings of another part."""
        self.counts.update(other.counts)
        self.severities.update(other.severities)
        for code, found in other._kept.items():
            self._keep(code, found)

    def to_json(self) -> dict[str, Any]:
        """Counts, and the findings that are kept."""
        kept = [finding.to_json() for found in self._kept.values() for finding in found]
        return {"counts": self.counts, "severities": self.severities, "kept": kept}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Findings:
        """The inverse of `to_json`."""
        made = cls()
        made.counts.update(document["counts"])
        made.severities.update({Severity(name): count for name, count in document["severities"].items()})
        for finding in map(Finding.from_json, document["kept"]):
            made._keep(finding.code, (finding,))
        return made

    def kept(self, kind: FindingKind) -> list[Finding]:
        """The findings of a kind that are kept, in the order of files."""
        return sorted(self._kept.get(kind.code, ()), key=attrgetter("place"))

    def replace(self, kind: FindingKind, found: Iterable[Finding]) -> None:
        """Put these findings in the place of all of their kind."""
        self.severities[kind.severity] -= self.counts.pop(kind.code, 0)
        self._kept.pop(kind.code, None)
        self.extend(found)

    def top(self, count: int) -> list[Finding]:
        """The most serious findings first; if not all fit, the first of each code come before more of one code."""
        first: list[Finding] = []
        more: list[Finding] = []
        for found in self._kept.values():
            found.sort(key=attrgetter("place"))
            first += found[:OF_EACH_CODE]
            more += found[OF_EACH_CODE:MAX_FINDINGS]
        if len(first) < count:
            first += sorted(more, key=_rank)[: count - len(first)]
        return sorted(first, key=_rank)[:count]

    def _keep(self, code: str, found: Iterable[Finding]) -> None:
        kept = self._kept.setdefault(code, [])
        kept.extend(found)
        if len(kept) >= 2 * MAX_FINDINGS:
            kept.sort(key=attrgetter("place"))
            del kept[MAX_FINDINGS:]


def _rank(finding: Finding) -> tuple[Any, ...]:
    return _GRAVITY[finding.severity], not finding.kind.urgent, *finding.place


_GRAVITY = {severity: rank for rank, severity in enumerate(Severity)}
