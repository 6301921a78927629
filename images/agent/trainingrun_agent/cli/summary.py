"""report.json as text for a terminal.

Invariant: counts are those of the report; of each kind of finding a few examples are shown, and how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from trainingrun_agent.cli.terminal import Style, plain
from trainingrun_agent.prep.model.codes import KINDS
from trainingrun_agent.prep.model.codes.kind import Severity
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.terms import Terms

EXAMPLES = 3
MAX_CLASS_ROWS = 30
MAX_PASSED_OVER = 5
_DOCUMENT = Mapping[str, Any]


def lines(
    report: _DOCUMENT, passed_over: Mapping[str, str], *, named: bool, style: Style, terms: Terms
) -> Iterator[str]:
    """What was found. `named`: the classes were taken from the labels; `terms` are the nouns of findings."""
    yield style("bold", _head(report))
    if named and report["classes"]:
        yield f"No --classes given, so all names in the labels are taken: --classes {_quoted(report['classes'])}"
    yield ""
    yield from _table(report, style)
    found = _by_code(report["findings"])
    for severity in Severity:
        for code in (code for code in found if KINDS[code].severity is severity):
            yield ""
            yield from _findings(found[code], report, style, terms)
    if passed_over:
        yield ""
        yield from _passed_over(passed_over, style)
    yield ""
    yield _counts(report, len(passed_over), style)
    if found:
        yield f"What a finding means for a detector, with an example: trainingrun explain {next(iter(found))}"


def _head(report: _DOCUMENT) -> str:
    splits = report["splits"].values()
    formats = " and ".join(dict.fromkeys(split["format"] for split in splits))
    images, objects = (sum(split[name] for split in splits) for name in ("images", "objects"))
    classes = len(report["classes"])
    return (
        f"{_number(images, 'usable image')} with {_number(objects, 'object')}"
        f" of {_number(classes, 'class', 'classes')}, {formats} labels"
    )


def _table(report: _DOCUMENT, style: Style) -> Iterator[str]:
    splits = {name: report["splits"][name] for name in ("train", "eval") if name in report["splits"]}
    names = sorted(report["classes"], key=lambda name: -sum(split["perClass"][name] for split in splits.values()))
    rows = [("images", "images"), ("  without objects", "negatives"), ("bad files", "badFiles"), ("objects", "objects")]
    counted = [(title, [split[key] for split in splits.values()]) for title, key in rows]
    counted += [
        (f"  {plain(name)}", [split["perClass"][name] for split in splits.values()]) for name in names[:MAX_CLASS_ROWS]
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
    count = report["counts"][kind.code]
    times = f", {count:,} times" if count > 1 else ""
    yield f"{style(kind.severity, kind.severity)} {style('bold', kind.code)}{times}: {kind.done_text(terms)}"
    for finding in found[:EXAMPLES]:
        yield f"    {_where(finding, many=len(report['splits']) > 1)}{plain(finding.seen(terms))}"
    if count > EXAMPLES:
        yield style("dim", f"    … and {count - min(EXAMPLES, len(found)):,} more")
    yield f"  → {kind.advice_text(terms)}"


def _where(finding: Finding, *, many: bool) -> str:
    split = f"{finding.split} " if many else ""
    place = "" if finding.index is None else f" object {finding.index}"
    return f"{split}{plain(finding.file)}{place}: " if finding.file else split


def _passed_over(found: Mapping[str, str], style: Style) -> Iterator[str]:
    yield f"{style('warning', 'warning')} {style('bold', 'not looked at')}, {_number(len(found), 'path')}"
    for path, cause in islice(found.items(), MAX_PASSED_OVER):
        yield f"    {plain(path)}: {cause}"
    if len(found) > MAX_PASSED_OVER:
        yield style("dim", f"    … and {len(found) - MAX_PASSED_OVER:,} more")
    yield "  → Put the files themselves there, under names in UTF-8, if they are part of the data."


def _counts(report: _DOCUMENT, passed_over: int, style: Style) -> str:
    errors, warnings = report["errors"], report["warnings"] + passed_over
    infos = sum(report["counts"].values()) - report["errors"] - report["warnings"]
    if not errors + warnings + infos:
        return style("good", "Nothing to complain about.")
    told = [style(kind, _number(count, kind)) for count, kind in ((errors, "error"), (warnings, "warning")) if count]
    told += [_number(infos, "info")] if infos else []
    return ", ".join(told)


def _quoted(names: list[str]) -> str:
    joined = ",".join(names)
    return f"'{joined}'" if any(not (sign.isalnum() or sign in "_-,.") for sign in joined) else joined


def _number(count: int, word: str, plural: str = "") -> str:
    return f"{count:,} {word if count == 1 else plural or word + 's'}"
