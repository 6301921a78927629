"""`trainingrun convert`: TFRecords from a folder of labelled images.

Invariant: --out holds nothing but what this command wrote; the plain names appear when everything that they stand for
is there.
"""

from __future__ import annotations

import shutil
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
    from trainingrun_agent.cli.preparation import Result

SUMMARY = "check labelled images, and write TFRecords from them"
EPILOG = options.REPORT_EXIT_CODES
SCRATCH = ".scratch-"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the data, where to write, and which reports to write."""
    options.add_data(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="folder to write to: new, empty, or written by a convert before",
    )
    options.add_report(parser, fail_on="never")


def run(arguments: Namespace, stop: threading.Event) -> int:
    """Returns the exit code. Raises UsageError, StageError."""
    from trainingrun_agent.cli import output
    from trainingrun_agent.cli.folders import check_target, folders
    from trainingrun_agent.cli.preparation import Preparation
    from trainingrun_agent.cli.progress_bar import ProgressBar
    from trainingrun_agent.storage.folder_store import FolderStore

    data = folders(arguments)
    output.check_files(arguments, data)
    check_target("--out", arguments.out, data)
    _make_ready(arguments.out)
    with TemporaryDirectory(prefix=SCRATCH, dir=arguments.out) as scratch:
        preparation = Preparation(arguments, data, FolderStore(arguments.out), Path(scratch), stop)
        with ProgressBar(preparation.progress, quiet=arguments.quiet):
            result = preparation.run()
    output.write(result, arguments, preparation.terms)
    _print_place(result, arguments)
    code = output.exit_code(result, arguments.fail_on)
    return code if result.prepared else max(1, code)


def _make_ready(out: Path) -> None:
    from trainingrun_agent.cli.output_folder import is_ours

    try:
        out.mkdir(parents=True, exist_ok=True)
        entries = list(out.iterdir())
        for entry in entries:
            if entry.name.startswith(SCRATCH):
                shutil.rmtree(entry)
        (out / f"{SCRATCH}try").touch()
        (out / f"{SCRATCH}try").unlink()
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}: name a folder that can be written to") from error
    strange = sorted(entry.name for entry in entries if not (entry.name.startswith(SCRATCH) or is_ours(entry.name)))
    if strange:
        raise UsageError(
            f"--out {out} is not empty, it holds {', '.join(strange[:3])}: name another folder, or an empty one"
        )


def _print_place(result: Result, arguments: Namespace) -> None:
    from trainingrun_agent.cli import output, output_folder

    stream = sys.stderr if arguments.json == output.STDOUT else sys.stdout
    if result.prepared is not None:
        print_lines(["", *output_folder.lay_out(arguments.out, result.prepared)], stream)
    elif result.report_folder:
        print_lines([f"No records were written. Report: {arguments.out / result.report_folder}"], stream)
