"""How `doctor` and `convert` end: what is printed, what is written, and the exit code.

Invariant: standard output has either the summary or, with `--json -`, the document and nothing else.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

from trainingrun_agent.cli import summary
from trainingrun_agent.cli.folders import Folders, check_target
from trainingrun_agent.cli.preparation import Result
from trainingrun_agent.cli.terminal import Style, print_lines
from trainingrun_agent.cli.usage import UsageError
from trainingrun_agent.prep.report.verdict import Outcome
from trainingrun_agent.reasons.dataset import TOO_MANY_BAD_FILES
from trainingrun_agent.terms import Terms

STDOUT = Path("-")


def check_files(arguments: Namespace, data: Folders) -> None:
    """Raises UsageError for files that could not be written when the work is done."""
    for option, path in (("--html", arguments.html), ("--json", arguments.json)):
        if path is not None and path != STDOUT:
            check_target(option, path, data)


def write(result: Result, arguments: Namespace, terms: Terms) -> None:
    """Print the summary, and write the reports that were asked for. Raises UsageError."""
    stream = sys.stderr if arguments.json == STDOUT else sys.stdout
    style = Style.for_stream(stream)
    found_classes = result.found_classes is not None
    lines = summary.lines(result.report, divided=result.divided, found_classes=found_classes, style=style, terms=terms)
    print_lines(list(lines), stream)
    _write_reports(result, arguments)


def exit_code(result: Result, fail_on: str) -> int:
    """The exit code, as --help explains it."""
    given = result.report["verdict"]
    outcome = Outcome(given["outcome"])
    # Too many bad files is about findings, which --fail-on is for; other refusals are about the data as a whole.
    if outcome is Outcome.REFUSED and given["reason"] != TOO_MANY_BAD_FILES.name:
        return 2
    failing = {"never": (), "error": (Outcome.ERRORS, Outcome.REFUSED)}.get(fail_on, (*Outcome,))
    return 1 if outcome in failing and outcome is not Outcome.CLEAN else 0


def _write_reports(result: Result, arguments: Namespace) -> None:
    document = json.dumps(result.report, indent=1).encode() + b"\n"
    for option, path, data in (("--html", arguments.html, result.page), ("--json", arguments.json, document)):
        if path == STDOUT:
            sys.stdout.write(data.decode())
        elif path is not None:
            write_file(option, path, data)


def write_file(option: str, path: Path, data: bytes) -> None:
    """Write a file that an option names. Raises UsageError."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{option} {path}: {error.strerror}") from error
