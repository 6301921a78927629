"""What every module of commands/ offers.

Invariant: a module imports the standard library and options only until its command runs, so that --help is instant.
"""

from __future__ import annotations

import threading
from argparse import ArgumentParser, Namespace
from typing import Protocol


class Command(Protocol):
    """A command: `SUMMARY` is its line in the list of commands, `EPILOG` its exit codes and notes."""

    SUMMARY: str
    EPILOG: str

    def add_arguments(self, parser: ArgumentParser, /) -> None:
        """Declare the arguments."""

    def run(self, arguments: Namespace, stop: threading.Event, /) -> int:
        """Run the command; returns the exit code. Raises UsageError, StageError; Interrupted once `stop` is set."""
