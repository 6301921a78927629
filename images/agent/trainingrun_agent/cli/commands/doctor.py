"""`trainingrun doctor`: what is wrong with a folder of labelled images.

Invariant: only the files of --html and --json are written.
"""

from __future__ import annotations

import threading
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

from trainingrun_agent.cli import options

SUMMARY = "check labelled images, and print what to correct"
EPILOG = options.REPORT_EXIT_CODES


def add_arguments(parser: ArgumentParser) -> None:
    """Add the data, and which reports to write."""
    options.add_data(parser)
    options.add_report(parser, fail_on="error")


def run(arguments: Namespace, stop: threading.Event) -> int:
    """Returns the exit code. Raises UsageError, StageError."""
    from trainingrun_agent.cli import output
    from trainingrun_agent.cli.folders import folders
    from trainingrun_agent.cli.preparation import Preparation
    from trainingrun_agent.cli.progress_bar import ProgressBar
    from trainingrun_agent.cli.reports_only import ReportsOnly

    data = folders(arguments)
    output.check_files(arguments, data)
    with TemporaryDirectory(prefix="trainingrun-") as temporary:
        out, scratch = Path(temporary, "out"), Path(temporary, "scratch")
        for folder in (out, scratch):
            folder.mkdir()
        preparation = Preparation(arguments, data, ReportsOnly(out), scratch, stop)
        with ProgressBar(preparation.progress, quiet=arguments.quiet):
            result = preparation.run()
    output.write(result, arguments, preparation.terms)
    return output.exit_code(result, arguments.fail_on)
