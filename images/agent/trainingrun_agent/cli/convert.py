"""`trainingrun convert`: the records of a folder of labelled images.

Invariant: the folder that is written to holds nothing else than what this command wrote; the plain names appear when
everything they stand for is there.
"""

from __future__ import annotations

import shutil
import sys
import threading
from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

from trainingrun_agent.cli import ending, stock
from trainingrun_agent.cli.bar import Bar
from trainingrun_agent.cli.sources import check_target, folders
from trainingrun_agent.cli.terminal import show
from trainingrun_agent.cli.usage import UsageError
from trainingrun_agent.cli.work import Outcome, Work
from trainingrun_agent.storage.folder import FolderStore

SCRATCH = ".scratch-"


def run(arguments: Namespace, stop: threading.Event) -> int:
    """Returns the exit code. Raises UsageError, StageError."""
    data = folders(arguments)
    ending.check_outputs(arguments, data)
    check_target("--out", arguments.out, data)
    _make_ready(arguments.out)
    with TemporaryDirectory(prefix=SCRATCH, dir=arguments.out) as scratch:
        work = Work(arguments, data, FolderStore(arguments.out), Path(scratch), stop)
        with Bar(work.progress, quiet=arguments.quiet):
            outcome = work.run()
    ending.tell(outcome, arguments, work.terms)
    _tell_where(outcome, arguments)
    code = ending.exit_code(outcome, arguments.fail_on)
    return code if outcome.prepared else max(1, code)


def _make_ready(out: Path) -> None:
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
    strange = sorted(
        entry.name for entry in entries if not (entry.name.startswith(SCRATCH) or stock.is_ours(entry.name))
    )
    if strange:
        raise UsageError(
            f"--out {out} is not empty, it holds {', '.join(strange[:3])}: name another folder, or an empty one"
        )


def _tell_where(outcome: Outcome, arguments: Namespace) -> None:
    stream = sys.stderr if arguments.json == ending.STDOUT else sys.stdout
    if outcome.prepared is not None:
        show(["", *stock.lay_out(arguments.out, outcome.prepared)], stream)
    elif outcome.folder:
        show([f"No records were written. Report: {arguments.out / outcome.folder}"], stream)
