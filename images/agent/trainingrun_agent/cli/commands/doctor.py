"""`trainingrun doctor`: what is wrong with a folder of labelled images, and the TrainingRun that trains on it.

Invariant: only the files of --html, --json and --write are written.
"""

from __future__ import annotations

import sys
import threading
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from trainingrun_agent.cli import options
from trainingrun_agent.cli.terminal import print_lines
from trainingrun_agent.cli.usage import UsageError

if TYPE_CHECKING:
    from trainingrun_agent.cli.folders import Folders
    from trainingrun_agent.cli.preparation import Result
    from trainingrun_agent.cli.run_object import RunObject

SUMMARY = "check labelled images, print what to correct, and write the TrainingRun that trains on them"
EPILOG = f"{options.REPORT_EXIT_CODES}\n{options.CREDENTIALS}"
NOT_DIVIDED = (
    "There is no dataset for a TrainingRun: the images cannot be divided for training and evaluation. Add images, or"
    " name a folder with --eval."
)
SAME_VIDEO = (
    "splitGroup: image puts frames of one video in both splits, so scores will be inflated. It is better to name a"
    " folder with other images with --eval."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the data, and what to write."""
    options.add_data(parser)
    options.add_object(parser)
    options.add_report(parser, fail_on="error")


def run(arguments: Namespace, stop: threading.Event) -> int:
    """Returns the exit code. Raises UsageError, StageError."""
    from trainingrun_agent.cli import output
    from trainingrun_agent.cli.folders import folders
    from trainingrun_agent.cli.preparation import Preparation
    from trainingrun_agent.cli.progress_bar import ProgressBar
    from trainingrun_agent.cli.reports_only import ReportsOnly
    from trainingrun_agent.cli.run_object import RunObject

    data = folders(arguments)
    output.check_files(arguments, data)
    _check_write(arguments, data)
    run_object = RunObject(arguments, data)
    with TemporaryDirectory(prefix="trainingrun-") as temporary:
        out, scratch = Path(temporary, "out"), Path(temporary, "scratch")
        for folder in (out, scratch):
            folder.mkdir()
        preparation = Preparation(arguments, data, ReportsOnly(out), scratch, stop, run_object)
        with ProgressBar(preparation.progress, quiet=arguments.quiet):
            result = preparation.run()
    output.write(result, arguments, preparation.terms)
    _write_object(result, arguments, run_object)
    return output.exit_code(result, arguments.fail_on)


def _check_write(arguments: Namespace, data: Folders) -> None:
    """Raises UsageError for a file that could not be written when the work is done."""
    from trainingrun_agent.cli.folders import check_target

    if arguments.write is None:
        return
    check_target("--write", arguments.write, data)
    if arguments.write.exists() and not arguments.force:
        raise UsageError(f"--write {arguments.write} exists: add --force to write over it, or name another file")


def _write_object(result: Result, arguments: Namespace, run_object: RunObject) -> None:
    from trainingrun_agent.cli import output

    stream = sys.stderr if arguments.json == output.STDOUT else sys.stdout
    dataset = result.report.get("dataset")
    if dataset is None:
        if result.prepared is not None:
            print_lines(["", NOT_DIVIDED], stream)
        if arguments.write is not None:
            print_lines([f"{arguments.write} was not written."], stream)
        return
    if dataset.get("splitGroup") == "image" and arguments.split_group is None:
        print_lines(["", SAME_VIDEO], stream)
    if arguments.write is not None:
        text = "\n".join(run_object.lines(dataset)) + "\n"
        output.write_file("--write", arguments.write, text.encode())
        print_lines(["", f"Written to {arguments.write}. Before you apply it:"], stream)
        print_lines([f"  - {line}" for line in run_object.to_fill_in()], stream)
