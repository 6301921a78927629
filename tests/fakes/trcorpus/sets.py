"""The public data sets of tests/corpus/sets.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from trcorpus import truth
from trcorpus.truth import Truth

TABLE = Path(__file__).resolve().parents[2] / "corpus" / "sets.toml"


@dataclass(frozen=True)
class Row:
    """A folder that somebody uploads; the head of the table says what each field means."""

    shape: str
    inside: str = ""
    truth: tuple[tuple[str, ...], ...] = ()
    sample: tuple[str | float, ...] = ()
    classes: tuple[str, ...] = ()
    says: str = ""
    may_refuse: bool = False
    unusable: tuple[str, ...] = ()

    def labelled(self, folder: Path) -> Truth:
        boxes: Truth = {}
        for function, *arguments in self.truth:
            boxes |= truth.READERS[function](folder, *arguments)
        return boxes


@dataclass(frozen=True)
class Set:
    """A folder of a public repository, as it is at a commit."""

    name: str
    source: str
    rows: tuple[Row, ...]


def sets() -> list[Set]:
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return [Set(item["name"], item["source"], tuple(Row(**row) for row in item["row"])) for item in table["set"]]
