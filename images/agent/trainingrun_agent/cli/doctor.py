"""`trainingrun doctor`: what is wrong with a folder of labelled images.

Invariant: nothing is written but what --html and --json ask for.
"""

from __future__ import annotations

import threading
from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

from trainingrun_agent.cli import ending
from trainingrun_agent.cli.bar import Bar
from trainingrun_agent.cli.reports_only import ReportsOnly
from trainingrun_agent.cli.sources import folders
from trainingrun_agent.cli.work import Work


def run(arguments: Namespace, stop: threading.Event) -> int:
    """Returns the exit code. Raises UsageError, StageError."""
    data = folders(arguments)
    ending.check_outputs(arguments, data)
    with TemporaryDirectory(prefix="trainingrun-") as temporary:
        out, scratch = Path(temporary, "out"), Path(temporary, "scratch")
        for folder in (out, scratch):
            folder.mkdir()
        work = Work(arguments, data, ReportsOnly(out), scratch, stop)
        with Bar(work.progress, quiet=arguments.quiet):
            outcome = work.run()
    ending.tell(outcome, arguments, work.terms)
    return ending.exit_code(outcome, arguments.fail_on)
