"""Finds a command, runs it, and turns every known end into an exit code and a line or two.

Invariant: only a bug leaves a traceback; the exit codes are those of --help.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from trainingrun_agent import __version__
from trainingrun_agent.cli.command import Command
from trainingrun_agent.cli.commands import convert, doctor, explain, prune
from trainingrun_agent.cli.terminal import print_error, print_lines
from trainingrun_agent.cli.terms import COMMAND_LINE
from trainingrun_agent.cli.usage import UsageError
from trainingrun_agent.disk_space import is_disk_full
from trainingrun_agent.errors import Interrupted, StageError

PROGRAM = "trainingrun"
COMMANDS: Mapping[str, Command] = {"doctor": doctor, "convert": convert, "explain": explain, "prune": prune}
FAILED = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    stop = threading.Event()
    received = [int(signal.SIGINT)]
    _open_streams()
    try:
        arguments = parser().parse_args(argv)
        with _signals(stop, received):
            return COMMANDS[arguments.command].run(arguments, stop)
    except Interrupted:
        return _end("stopped", code=128 + received[-1])
    except KeyboardInterrupt:
        return _end("stopped", code=128 + signal.SIGINT)
    except UsageError as error:
        return _end(f"error: {error}", code=FAILED)
    except StageError as error:
        return _end(f"error: {error.message_in(COMMAND_LINE)}", error.hint_in(COMMAND_LINE), code=FAILED)
    except BrokenPipeError:  # `| head` has read enough
        sys.stderr.close()
        return FAILED
    except OSError as error:
        if not is_disk_full(error):
            raise
        return _end(f"error: {error.filename or 'standard output'}: {error.strerror}", code=FAILED)


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    result = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Check and convert labelled images as a TrainingRun does, without a cluster.",
        allow_abbrev=False,
    )
    result.add_argument("--version", action="version", version=__version__)
    commands = result.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        added = commands.add_parser(
            name,
            help=command.SUMMARY,
            description=f"{command.SUMMARY[0].upper()}{command.SUMMARY[1:]}.",
            epilog=command.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_arguments(added)
    return result


def _open_streams() -> None:
    """A shell can close the standard streams (`2>&-`): what is written there is then thrown away."""
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    sys.excepthook = print_error


def _end(*lines: str, code: int) -> int:
    print_lines([f"{PROGRAM}: {line}" for line in lines if line], sys.stderr)
    return code


@contextmanager
def _signals(stop: threading.Event, received: list[int]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM sets `stop`, so that the command ends in order; the second one ends it at once."""

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
