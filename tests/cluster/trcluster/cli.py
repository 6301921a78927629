"""Run the command line. Invariant: an error that the user can act on is a message and exit code 1."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from .arguments import parser
from .commands import say
from .errors import ClusterError


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Return the exit code: 0, 1 for an error, 130 when interrupted (what was started is removed).
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    args = parser().parse_args(argv)
    try:
        args.run(args)
    except ClusterError as error:
        say(f"trcluster: {error}")
        return 1
    except BrokenPipeError:  # the reader of our output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        say("trcluster: interrupted")
        return 130
    return 0
