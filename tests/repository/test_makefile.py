"""`make help` lists every command, and the values that a command names are those that its program knows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from trbench.__main__ import PROGRAMS

MAKEFILE = Path(__file__).parents[2] / "Makefile"


def listed() -> dict[str, str]:
    """Commands that `make help` prints, with their texts."""
    printed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=MAKEFILE.parent, capture_output=True, text=True, check=True
    ).stdout
    return dict(re.findall(r"^ {2}make (\S+) +(.+)$", printed, re.MULTILINE))


def test_help_lists_every_command() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE.read_text(), re.MULTILINE)
    assert phony is not None
    assert sorted(listed()) == sorted(phony[1].split())


def test_help_names_every_benchmark() -> None:
    assert set(re.findall(r"[\w-]+", listed()["bench"].partition("ONLY=")[2])) == set(PROGRAMS)
