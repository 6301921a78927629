"""report.json as text for a terminal.

Invariant: counts are those of the report; each kind of finding is shown with its number and a few examples.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from trainingrun_agent.cli.terminal import Style, count
from trainingrun_agent.prep.model.codes import KINDS
from trainingrun_agent.prep.model.codes.kind import Severity
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.report.dataset_yaml import dataset_lines
from trainingrun_agent.prep.report.verdict import Outcome, heading
from trainingrun_agent.terms import Terms

EXAMPLES = 3
MAX_CLASS_ROWS = 30
_DOCUMENT = Mapping[str, Any]


def lines(report: _DOCUMENT, *, divided: str, found_classes: bool, style: Style, terms: Terms) -> Iterator[str]:
    """The summary of a report; `divided` is a line about the splits, `found_classes`: from the labels."""
    if divided:
        yield divided
    if report["splits"]:
        yield style("bold", _head(report))
        if found_classes and report["classes"]:
            names = shlex.quote(",".join(report["classes"]))
            labels = "labels for training" if "eval" in report["splits"] else "labels"
            yield f"No --classes given, so all names in the {labels} are used: --classes {names}"
        yield ""
        yield from _table(report, style)
    found = _by_code(report["findings"])
    for severity in Severity:
        for code in (code for code in found if KINDS[code].severity is severity):
            yield ""
            yield from _findings(found[code], report, style, terms)
    if found:
        yield ""
        yield f"What a code means for a detector, with an example: trainingrun explain {next(iter(found))}"
    if report["splits"]:
        yield ""
    yield from _verdict(report, style)
    if dataset := report.get("dataset"):
        yield ""
        yield "The dataset of a TrainingRun that trains on it:"
        yield ""
        yield from dataset_lines(dataset)


def _head(report: _DOCUMENT) -> str:
    splits = report["splits"].values()
    formats = " and ".join(dict.fromkeys(split["format"] for split in splits))
    images, objects = (sum(split[name] for split in splits) for name in ("images", "objects"))
    classes = len(report["classes"])
    if not images and not any(split["badFiles"] for split in splits):
        return "No images with labels"
    return (
        f"{count(images, 'usable image')} with {count(objects, 'object')}"
        f" of {count(classes, 'class', 'classes')}, {formats} labels"
    )


def _table(report: _DOCUMENT, style: Style) -> Iterator[str]:
    splits = {name: report["splits"][name] for name in ("train", "eval") if name in report["splits"]}
    names = sorted(report["classes"], key=lambda name: -sum(split["perClass"][name] for split in splits.values()))
    rows = [("images", "images"), ("  without objects", "negatives"), ("bad files", "badFiles"), ("objects", "objects")]
    counted = [(title, [split[key] for split in splits.values()]) for title, key in rows]
    counted += [
        (f"  {name}", [split["perClass"][name] for split in splits.values()]) for name in names[:MAX_CLASS_ROWS]
    ]
    if len(names) > MAX_CLASS_ROWS:
        rest = [sum(split["perClass"][name] for name in names[MAX_CLASS_ROWS:]) for split in splits.values()]
        counted.append((f"  {len(names) - MAX_CLASS_ROWS} more classes", rest))
    left = max(len(title) for title, _ in counted)
    width = max(9, *(len(f"{number:,}") + 2 for _, numbers in counted for number in numbers))
    yield style("dim", " " * left + "".join(f"{name:>{width}}" for name in splits))
    for title, numbers in counted:
        yield f"{title:<{left}}" + "".join(f"{number:>{width},}" for number in numbers)


def _by_code(findings: list[dict[str, Any]]) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in map(Finding.from_json, findings):
        found.setdefault(finding.code, []).append(finding)
    return found


def _findings(found: list[Finding], report: _DOCUMENT, style: Style, terms: Terms) -> Iterator[str]:
    kind = found[0].kind
    number = report["counts"][kind.code]
    times = f", {number:,} times" if number > 1 else ""
    yield f"{style(kind.severity, kind.severity)} {style('bold', kind.code)}{times}: {kind.done_text(terms)}"
    for finding in found[:EXAMPLES]:
        yield f"    {_where(finding, many=len(report['splits']) > 1)}{finding.seen(terms)}"
    if number > EXAMPLES:
        yield style("dim", f"    … and {number - min(EXAMPLES, len(found)):,} more")
    yield f"  → {kind.advice_text(terms)}"


def _where(finding: Finding, *, many: bool) -> str:
    split = f"{finding.split} " if many else ""
    place = "" if finding.index is None else f" object {finding.index}"
    return f"{split}{finding.file}{place}: " if finding.file else split


def _verdict(report: _DOCUMENT, style: Style) -> Iterator[str]:
    """How many findings there are, and the one verdict."""
    given = report["verdict"]
    refused = given["outcome"] == Outcome.REFUSED
    if counted := _counts(report, style):
        yield counted
    shown = style("error" if refused else "good", heading(report))
    if not refused:
        yield f"{shown}." if counted else f"{style('good', 'No findings.')} {shown}."
        return
    yield f"{shown}: {given['message']}"
    yield given["nextStep"]


def _counts(report: _DOCUMENT, style: Style) -> str:
    errors, warnings, infos = report["errors"], report["warnings"], report["infos"]
    parts = [style(kind, count(number, kind)) for number, kind in ((errors, "error"), (warnings, "warning")) if number]
    parts += [count(infos, "info")] if infos else []
    return ", ".join(parts)
