"""Parses the arguments, runs the command, and turns every known end into an exit code and a line or two.

Invariant: only a bug leaves a traceback; the exit codes are those of --help.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from trainingrun_agent import __version__
from trainingrun_agent.cli import arguments
from trainingrun_agent.cli.terminal import plain
from trainingrun_agent.cli.usage import UsageError
from trainingrun_agent.cli.wording import plainly
from trainingrun_agent.errors import Interrupted, StageError

COMMANDS = {
    "doctor": "check labelled images, and say what to correct",
    "convert": "check labelled images, and write TFRecords from them",
    "prune": "find, and delete, data sets that no run needs any more",
}
EXIT_CODES = """\
exit codes:
  0    no finding at or above --fail-on
  1    findings at or above --fail-on, or more bad files than --max-bad-files
  2    wrong arguments; data that cannot be trained on or read; nowhere to write
  130  interrupted
"""
PRUNE_EXIT_CODES = """\
exit codes: 0 done, or listed; 2 wrong arguments, no access, or something to be looked at first; 130 interrupted

Credentials are taken from where AWS's own tools take them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,
the files of AWS_PROFILE, or the role of the machine or pod. Certificates: AWS_CA_BUNDLE.
"""
FAILED = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    stop = threading.Event()
    received = [int(signal.SIGINT)]
    try:
        parsed = parser().parse_args(argv)
        command = importlib.import_module(f"trainingrun_agent.cli.{parsed.command}")
        with _signals(stop, received):
            code: int = command.run(parsed, stop)
            return code
    except Interrupted:
        return _say("stopped", code=128 + received[-1])
    except KeyboardInterrupt:
        return _say("stopped", code=128 + signal.SIGINT)
    except UsageError as problem:
        return _say(f"error: {problem}", code=FAILED)
    except StageError as problem:
        return _say(f"error: {plainly(problem.message)}", plainly(problem.hint), code=FAILED)
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
        return FAILED


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    result = argparse.ArgumentParser(
        prog="trainingrun",
        description="Data preparation of TrainingRun without a cluster: the same checks, the same findings.",
        allow_abbrev=False,
    )
    result.add_argument("--version", action="version", version=__version__)
    commands = result.add_subparsers(dest="command", required=True, metavar="COMMAND")
    added = {name: _command(commands, name, text) for name, text in COMMANDS.items()}
    arguments.add_data(added["doctor"])
    arguments.add_output(added["doctor"], fail_on="error")
    arguments.add_data(added["convert"])
    arguments.add_target(added["convert"])
    arguments.add_output(added["convert"], fail_on="never")
    arguments.add_prune(added["prune"])
    return result


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=PRUNE_EXIT_CODES if name == "prune" else EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _say(*lines: str, code: int) -> int:
    for line in filter(None, lines):
        print(f"trainingrun: {plain(line)}", file=sys.stderr)
    return code


@contextmanager
def _signals(stop: threading.Event, received: list[int]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM sets `stop`, so that all ends in order; the second one ends at once."""

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        received.append(number)
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
