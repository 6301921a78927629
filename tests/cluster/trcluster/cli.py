"""The command line's outermost layer. Invariant: an error the user can act on is one line and exit code 1."""

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

    Return the exit code: 0, 1 for an error, 130 when interrupted (what was begun is cleared).
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    args = parser().parse_args(argv)
    try:
        args.run(args)
    except ClusterError as error:
        say(f"trcluster: {error}")
        return 1
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        say("trcluster: interrupted")
        return 130
    return 0
