"""Read pytest's JUnit report of a tier and format it as one line."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET


@dataclass(slots=True)
class Result:
    """Result of a tier or check; `seconds` is elapsed time."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    error: str = ""
    note: str = ""

    @property
    def line(self) -> str:
        """One line of the summary."""
        counts = f"{self.passed:5} passed {self.failed:3} failed {self.skipped:3} skipped"
        return f"{self.name:19}{counts}  {self.seconds:6.0f} s" + (f"  {self.error}" if self.error else "")


def read(name: str, xml: Path, *, seconds: float, code: int) -> Result:
    """Read a JUnit file; a run without a report, or without tests, counts as failed."""
    result = Result(name, seconds=seconds)
    if not xml.is_file():
        result.failed, result.error = 1, f"pytest ended with exit code {code} and no report"
        return result
    for case in ET.parse(xml).getroot().iter("testcase"):  # noqa: S314 - written by our own pytest
        notes = [found.get("value", "") for found in case.iter("property") if found.get("name") == "note"]
        result.note = "; ".join(filter(None, [result.note, *notes]))
        skip = case.find("skipped")
        if skip is not None:
            result.skipped += 1
            result.reasons[skip.get("message", "no reason given")] += 1
        elif case.find("failure") is not None or case.find("error") is not None:
            result.failed += 1
            result.failures.append(f"{case.get('classname')}::{case.get('name')}")
        else:
            result.passed += 1
    if code not in (0, 1) or (code == 1 and not result.failed):
        result.failed, result.error = result.failed + 1, f"pytest ended with exit code {code}"
    return result
