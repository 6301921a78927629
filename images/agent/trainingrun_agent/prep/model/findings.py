"""What preparation has to say about the data: one finding per defect.

Invariant: counts are complete; the findings kept are bounded, some of every code; errors come before warnings before
infos, each in the order of files and objects. Contract: images/contracts/report.schema.json.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from operator import attrgetter
from typing import Any, Literal

MAX_FINDINGS, OF_EACH_CODE = 1000, 10
MAX_FILE, MAX_SEEN, MAX_DONE, MAX_HINT = 1024, 300, 200, 300

Split = Literal["train", "eval"]
Words = Callable[[str], str]
"""Says what is said of a TrainingRun's fields of something else, such as options of a command."""


class Severity(StrEnum):
    """An error costs the file, a warning a box at most, an info nothing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Finding:
    """One defect; `file` is relative to the source's URI, `index` the object's place in its file, from 0.

    `wide`: about the labels of many images, so that it explains other findings.
    """

    code: str
    severity: Severity
    file: str
    seen: str
    done: str
    hint: str
    index: int | None = None
    split: Split = "train"
    wide: bool = False

    def in_split(self, split: Split) -> Finding:
        """The same finding in another split."""
        return replace(self, split=split)

    def worded(self, words: Words) -> Finding:
        """The same finding, told in other words."""
        return replace(self, seen=words(self.seen), done=words(self.done), hint=words(self.hint))

    def to_json(self) -> dict[str, Any]:
        """As in the schema, texts cut to its bounds."""
        document: dict[str, Any] = {
            "code": self.code,
            "severity": str(self.severity),
            "split": self.split,
            "file": self.file[:MAX_FILE],
            "seen": self.seen[:MAX_SEEN],
            "done": self.done[:MAX_DONE],
            "hint": self.hint[:MAX_HINT],
        }
        return document if self.index is None else {**document, "object": self.index}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Finding:
        """The inverse of `to_json`."""
        severity = Severity(document["severity"])
        file, seen, done, hint = (document[name] for name in ("file", "seen", "done", "hint"))
        return cls(document["code"], severity, file, seen, done, hint, document.get("object"), document["split"])

    @property
    def place(self) -> tuple[bool, bool, str, int, str]:
        """Where it belongs among others."""
        return not self.wide, self.split == "eval", self.file, -1 if self.index is None else self.index, self.code

    def __str__(self) -> str:
        where = self.file if self.index is None else f"{self.file} object {self.index}"
        return f"{where}: {self.code}: {self.seen}"


def error(code: str, file: str, *, seen: str, hint: str, index: int | None = None, wide: bool = False) -> Finding:
    """The file cannot be used and is skipped."""
    return Finding(code, Severity.ERROR, file, seen, "file skipped", hint, index, wide=wide)


def warning(code: str, file: str, *, seen: str, done: str, hint: str, index: int | None = None) -> Finding:
    """The file is used, after a repair."""
    return Finding(code, Severity.WARNING, file, seen, done, hint, index)


def info(code: str, file: str, *, seen: str, done: str, hint: str, index: int | None = None) -> Finding:
    """Nothing is lost."""
    return Finding(code, Severity.INFO, file, seen, done, hint, index)


class Findings:
    """Collects findings; those of parts add up to those of the whole, in whatever order."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.severities: Counter[Severity] = Counter()
        self._kept: dict[str, list[Finding]] = {}
        """By code."""

    def extend(self, found: Iterable[Finding]) -> None:
        """Count them, and keep what fits."""
        for finding in found:
            self.counts[finding.code] += 1
            self.severities[finding.severity] += 1
            self._keep(finding.code, (finding,))

    def merge(self, other: Findings) -> None:
        """Take in those of another part."""
        self.counts.update(other.counts)
        self.severities.update(other.severities)
        for code, found in other._kept.items():
            self._keep(code, found)

    def to_json(self) -> dict[str, Any]:
        """All that is kept."""
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

    def top(self, count: int) -> list[Finding]:
        """The first ones, gravest first; where they do not all fit, the first of each code come before more of one."""
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
    return _GRAVITY[finding.severity], *finding.place


_GRAVITY = {severity: rank for rank, severity in enumerate(Severity)}
