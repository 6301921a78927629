"""How `doctor` and `convert` end: what is printed, what is written, and the exit code.

Invariant: standard output has either the summary or, with `--json -`, the document and nothing else.
"""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from pathlib import Path

from trainingrun_agent.cli import summary
from trainingrun_agent.cli.sources import Folders, check_target
from trainingrun_agent.cli.terminal import Style, plain, show
from trainingrun_agent.cli.usage import UsageError
from trainingrun_agent.cli.work import Outcome
from trainingrun_agent.errors import UserError
from trainingrun_agent.terms import Terms

STDOUT = Path("-")
TOO_MANY = "TooManyBadFiles"
"""The one refusal that is about findings, and not about the data as a whole."""


def check_outputs(arguments: Namespace, data: Folders) -> None:
    """Raises UsageError for files that could not be written when all the work is done."""
    for option, path in (("--html", arguments.html), ("--json", arguments.json)):
        if path is not None and path != STDOUT:
            check_target(option, path, data)


def tell(outcome: Outcome, arguments: Namespace, terms: Terms) -> None:
    """Print the summary and write the reports that were asked for."""
    stream = sys.stderr if arguments.json == STDOUT else sys.stdout
    style = Style.of(stream)
    if outcome.report is not None:
        named = outcome.named is not None
        show(list(summary.lines(outcome.report, outcome.passed_over, named=named, style=style, terms=terms)), stream)
    if outcome.refusal is not None:
        show(_refused(outcome.refusal, style, findings_shown=outcome.report is not None), stream)
    _write_reports(outcome, arguments)


def exit_code(outcome: Outcome, fail_on: str) -> int:
    """As --help says."""
    refusal, report = outcome.refusal, outcome.report
    if report is None or (refusal is not None and refusal.reason != TOO_MANY):
        return 2
    found = report["errors"] if fail_on == "error" else report["errors"] + report["warnings"] + len(outcome.passed_over)
    return 1 if found and fail_on != "never" else 0


def _refused(refusal: UserError, style: Style, *, findings_shown: bool) -> list[str]:
    message = refusal.message
    if findings_shown:  # then the first of them need not be said again
        message = re.split(": (?:train|eval) ", message, maxsplit=1)[0]
    return [f"{style('error', 'Cannot be trained on')}: {refusal.reason}: {plain(message)}", plain(refusal.hint)]


def _write_reports(outcome: Outcome, arguments: Namespace) -> None:
    page, document = outcome.page, outcome.report
    for option, path, data in (
        ("--html", arguments.html, page),
        ("--json", arguments.json, None if document is None else json.dumps(document, indent=1).encode() + b"\n"),
    ):
        if path is None:
            continue
        if data is None:
            show([f"trainingrun: there is no report for {option}"], sys.stderr)
        elif path == STDOUT:
            sys.stdout.write(data.decode())
        else:
            _write(option, path, data)


def _write(option: str, path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{option} {path}: {error.strerror}") from error
