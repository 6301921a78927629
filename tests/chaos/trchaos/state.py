"""What searches have reached, for each version of the code: kept in a file, so that several of them add up."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from trchaos.execution import Report

ROOT: Final = Path(__file__).resolve().parents[3]
SOURCES: Final = ("operator/trainingrun", "tests/chaos/trchaos", "tests/fakes/trfakes", "manifests/crd")


@dataclass
class Tally:
    """Sums over executions; `reached` are the intervals of seeds that were executed, ends included."""

    reached: list[list[int]] = field(default_factory=list)
    seeds: int = 0
    runs: int = 0
    requests: int = 0
    days: float = 0.0  # of virtual time
    real_seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    violations: dict[str, list[str]] = field(default_factory=dict)  # of each seed: rule, run and text

    def add(self, report: Report) -> None:
        """Add an execution."""
        self._reach(report.seed)
        self.seeds += 1
        self.runs += report.runs
        self.requests += report.requests
        self.days += report.seconds / 86400
        self.faults.update(report.faults)
        self.rules.update({violation.rule for violation in report.violations})
        if report.violations:
            self.violations[str(report.seed)] = [f"{v.rule} ({v.run}): {v.text}" for v in report.violations]

    def missing(self, start: int) -> Iterator[int]:
        """Seeds that were not executed yet, from `start` on, without end."""
        done = [list(interval) for interval in self.reached]
        seed = start
        while True:
            inside = next((high for low, high in done if low <= seed <= high), None)
            if inside is not None:
                seed = inside + 1
                continue
            yield seed
            seed += 1

    def _reach(self, seed: int) -> None:
        merged: list[list[int]] = []
        for low, high in sorted([*self.reached, [seed, seed]]):
            if merged and low <= merged[-1][1] + 1:
                merged[-1][1] = max(merged[-1][1], high)
            else:
                merged.append([low, high])
        self.reached = merged

    def document(self) -> dict[str, Any]:
        """The tally as a document."""
        return {**vars(self), "faults": dict(self.faults), "rules": dict(self.rules)}

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """The tally of a document."""
        counters = {name: Counter(document[name]) for name in ("faults", "rules")}
        return cls(**{**document, **counters})


class State:
    """A file with the tally of each version; of two searches of one version at a time, it keeps the last one's."""

    def __init__(self, path: Path) -> None:
        self._path, self._version = path, version()
        found = self._read().get(self._version)
        self.tally = Tally.of(found) if found else Tally()

    def save(self) -> None:
        """Write the file; a search that is killed meanwhile leaves the one before."""
        whole = {**self._read(), self._version: self.tally.document()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(f".{os.getpid()}.new")  # other versions may be searched at the same time
        new.write_text(json.dumps(whole, indent=1), encoding="utf-8")
        new.replace(self._path)

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        return found


def version() -> str:
    """Digest of the code that an execution depends on."""
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".yaml"}):
            digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def default_path() -> Path:
    """Where searches of this user keep what they have reached."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trainingrun" / "chaos.json"
