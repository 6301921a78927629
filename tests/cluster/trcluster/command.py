"""Runs a program to its end. Invariant: an error shows the command, its exit code and the last lines it printed.

Everything in tests/ that runs a program and needs its success does so here: a failure on a machine that nobody can
look at must explain itself.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import ClusterError

LAST_LINES = 40
LINE_LENGTH = 500
COMMAND_LENGTH = 300


class CommandError(ClusterError):
    """A program failed or ran out of time (then its code is None)."""

    def __init__(self, argv: Sequence[str], how: str, *, code: int | None, stdout: str, stderr: str) -> None:
        self.code, self.stdout, self.stderr = code, stdout, stderr
        printed = [
            f"{name}:\n{last_lines(text)}" for name, text in (("stderr", stderr), ("stdout", stdout)) if text.strip()
        ]
        super().__init__("\n".join([f"{shown(argv)} {how}", *(printed or ["it printed nothing"])]))


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
) -> str:
    """Run a program and return its standard output; raises CommandError unless it ends with exit code 0 in time."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words, input=stdin, env=env, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        how = f"did not end within {timeout:.0f} s"
        raise CommandError(words, how, code=None, stdout=_text(error.stdout), stderr=_text(error.stderr)) from None
    if done.returncode != 0:
        how = f"failed with exit code {done.returncode}"
        raise CommandError(words, how, code=done.returncode, stdout=done.stdout, stderr=done.stderr)
    return done.stdout


def shown(argv: Sequence[str]) -> str:
    """A command as one would type it, cut to a readable length."""
    text = shlex.join(argv)
    return text if len(text) <= COMMAND_LENGTH else f"{text[:COMMAND_LENGTH]}…"


def last_lines(text: str, count: int = LAST_LINES) -> str:
    """The end of what a program printed."""
    return "\n".join(line[:LINE_LENGTH] for line in text.strip().splitlines()[-count:])


def _text(printed: bytes | str | None) -> str:
    return printed.decode("utf-8", "replace") if isinstance(printed, bytes) else printed or ""
