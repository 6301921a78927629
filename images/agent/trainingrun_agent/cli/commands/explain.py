"""`trainingrun explain`: what a code of a finding, or a reason of a TrainingRun's end, means and what to do.

Invariant: the text is that of docs/findings.md and docs/reasons.md. Findings are explained in the terms of the command
line, reasons in those of a TrainingRun.
"""

from __future__ import annotations

import difflib
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SUMMARY = "explain a finding or a reason, with an example"
EPILOG = "exit codes: 0 explained, or listed; 2 no such finding or reason"

UNKNOWN_MESSAGE = "<message>"
"""Stands for a message that only the trainer knows."""
_OPERATOR_SEES = {"refused": "not accepted", "waiting": "a pod does not start", "ended": "a pod ended"}


@dataclass(frozen=True)
class Table:
    """What can be explained: `summaries` by name, and the whole text of one."""

    title: str
    summaries: Mapping[str, str]
    explain: Callable[[str], str]


def add_arguments(parser: ArgumentParser) -> None:
    """Add the name of what to explain."""
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="such as BoxDegenerate, in any case (default: list all names)"
    )


def run(arguments: Namespace, stop: threading.Event) -> int:  # noqa: ARG001 - there is nothing to stop
    """Returns the exit code. Raises UsageError for an unknown name."""
    from trainingrun_agent.cli.terminal import print_lines

    tables = (_findings(), _reasons())
    lines = _list(tables) if arguments.name is None else lookup(arguments.name, tables).splitlines()
    print_lines(list(lines))
    return 0


def lookup(name: str, tables: Sequence[Table]) -> str:
    """The texts of every table that has the name. Raises UsageError with the nearest names."""
    from trainingrun_agent.cli.usage import UsageError

    known = {one.casefold(): one for table in tables for one in table.summaries}
    found = known.get(name.casefold())
    if found is None:
        close = [known[one] for one in difflib.get_close_matches(name.casefold(), known, n=3, cutoff=0.6)]
        meant = f"did you mean {' or '.join(close)}?" if close else "`trainingrun explain` lists all"
        raise UsageError(f"there is no finding or reason {name!r}: {meant}")
    return "\n".join(table.explain(found) for table in tables if found in table.summaries)


def _list(tables: Iterable[Table]) -> Iterator[str]:
    for table in tables:
        yield f"{table.title}:"
        width = max(map(len, table.summaries), default=0)
        for name, summary in table.summaries.items():
            yield f"  {name:<{width}}  {summary}"
        yield ""


def _findings() -> Table:
    from trainingrun_agent.cli.terms import COMMAND_LINE
    from trainingrun_agent.prep.model.codes import GROUPS, KINDS
    from trainingrun_agent.prep.model.codes.explanation import explanation

    summaries = {kind.code: _first(kind.meaning) for kinds in GROUPS.values() for kind in kinds}
    return Table("Findings about data", summaries, lambda code: f"{code}\n\n{explanation(KINDS[code], COMMAND_LINE)}")


def _reasons() -> Table:
    from trainingrun_agent import reasons

    summaries = {name: _first(meaning) for name, meaning in sorted(reasons.meanings().items())}
    return Table(
        "Reasons of conditions and Events", summaries, lambda name: "\n\n".join(map(_reason, reasons.find(name)))
    )


def _reason(entry: Mapping[str, Any]) -> str:
    outcome = _OPERATOR_SEES.get(entry["outcome"], entry["outcome"])
    lines = [entry["name"], "", f"**{entry['raisedBy'].capitalize()}: {outcome}.** {entry['meaning']}"]
    for case in (entry, *entry.get("cases", ())):
        has_message = case["message"] not in {"", UNKNOWN_MESSAGE}
        if has_message:
            lines += ["", f"**Message.** {case['message']}"]
        if case["hint"]:
            title = "What to do" if case is entry or has_message else "In another case"
            lines += ["", f"**{title}.** {case['hint']}"]
    return "\n".join(lines)


def _first(text: str) -> str:
    """The first sentence, or the part of it before a colon."""
    return text.partition(". ")[0].partition(": ")[0].rstrip(".")
