"""Text for a terminal: colours where it shows them, and no control characters from user data.

Invariant: names of files and classes come from anywhere; every line is printed by `print_lines`, which lets only the
colours of `Style` through.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import TextIO

from trainingrun_agent.outgoing import outgoing

_CODES = {"bold": "1", "dim": "2", "error": "31;1", "warning": "33;1", "info": "36", "good": "32;1"}
_OURS = f"\x1b{os.urandom(8).hex()}"
"""Stands for the escape character in a colour of ours; no name of a file can hold it."""


class Style:
    """Colours text, or leaves it as it is."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    @classmethod
    def for_stream(cls, stream: TextIO) -> Style:
        """For what is written to `stream`."""
        wanted = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        return cls(colours=wanted and stream.isatty())

    def __call__(self, kind: str, text: str) -> str:
        """The text as `bold`, `dim`, `good`, or in the colour of a severity."""
        return f"{_OURS}[{_CODES[kind]}m{text}{_OURS}[0m" if self._colours else text


def size(count: float) -> str:
    """A number of bytes with its unit, such as `1.2 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: `1 image` or `1,000 images`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def print_lines(lines: list[str], stream: TextIO | None = None) -> None:
    """Print lines through the gate; what the encoding of the stream lacks becomes a question mark."""
    target = stream or sys.stdout
    encoding = target.encoding or "utf-8"
    for line in lines:
        shown = "\x1b".join(map(outgoing, line.split(_OURS)))
        print(shown.encode(encoding, "replace").decode(encoding), file=target)


def print_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an unexpected error, as an exception hook."""
    import traceback

    print_lines("".join(traceback.format_exception(kind, error, trace)).splitlines(), sys.stderr)
