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
from trainingrun_agent.errors import UserError
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
    if result.report is not None:
        found_classes = result.found_classes is not None
        lines = summary.lines(
            result.report, result.ignored_paths, found_classes=found_classes, style=style, terms=terms
        )
        print_lines(list(lines), stream)
    if result.refusal is not None:
        print_lines(_refused(result.refusal, style, terms, findings_shown=result.report is not None), stream)
    _write_reports(result, arguments)


def exit_code(result: Result, fail_on: str) -> int:
    """The exit code, as --help explains it."""
    refusal, report = result.refusal, result.report
    # Too many bad files is about findings, which --fail-on is for; other refusals are about the data as a whole.
    if report is None or (refusal is not None and refusal.entry is not TOO_MANY_BAD_FILES):
        return 2
    found = report["errors"]
    if fail_on == "warning":
        found += report["warnings"] + len(result.ignored_paths)
    return 1 if found and fail_on != "never" else 0


def _refused(refusal: UserError, style: Style, terms: Terms, *, findings_shown: bool) -> list[str]:
    message = refusal.message_in(terms, examples=not findings_shown)
    heading = style("error", f"This data cannot be used for training ({refusal.reason})")
    return [f"{heading}: {message}", refusal.hint_in(terms)]


def _write_reports(result: Result, arguments: Namespace) -> None:
    page, document = result.page, result.report
    for option, path, data in (
        ("--html", arguments.html, page),
        ("--json", arguments.json, None if document is None else json.dumps(document, indent=1).encode() + b"\n"),
    ):
        if path is None:
            continue
        if data is None:
            print_lines([f"trainingrun: there is no report for {option}"], sys.stderr)
        elif path == STDOUT:
            sys.stdout.write(data.decode())
        else:
            _write(option, path, data)


def _write(option: str, path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{option} {path}: {error.strerror}") from error
