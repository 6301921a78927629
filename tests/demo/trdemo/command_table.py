"""How each command of README.md and docs/ is tested: one row per kind of command, the first that fits counts.

Invariant: a command that no row fits fails tests/unit/test_documented_commands.py, so none goes untested unnoticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from trdemo.documented_commands import Command, commands
from trimages.paths import REPOSITORY


class Way(StrEnum):
    """What a test does with a command, besides `bash -n`."""

    RUN = "run against the installed product"
    DRY_RUN = "run against it as a dry run"
    HELM = "run against it as a dry run, and rendered with these flags"
    SET = "set before the commands that follow on its page"
    MAKE = "make -n"
    DOCKER = "its Dockerfile is one of those that are built"
    ELSEWHERE = "run by another test"


@dataclass(frozen=True, slots=True)
class Row:
    """Commands that `pattern` begins, how they are tested, and why they are not simply run."""

    pattern: str
    way: Way
    why: str = ""


ROWS: Final = (
    Row(r"make ", Way.MAKE, "the tests themselves are run by it"),
    Row(r"(for image in .*)?docker (build|push) ", Way.DOCKER, "no Docker daemon; tests/images builds with buildah"),
    Row(r"helm (install|upgrade|uninstall) ", Way.HELM, "one installation serves all tests of a session"),
    Row(r"helm rollback |kubectl delete (--filename manifests|namespace)", Way.ELSEWHERE, "tests/e2e/test_install.py"),
    Row(r"helm template ", Way.DRY_RUN, "what it applies would stay when the release is uninstalled"),
    Row(r"helm history ", Way.RUN),
    Row(r"kubectl delete (trainingruns --all|crd) ", Way.DRY_RUN, "the other tests' runs would go"),
    Row(r"kubectl apply --server-side -k manifests/", Way.ELSEWHERE, "tests/api/test_manifests_install.py"),
    Row(r"(export )?[A-Z_0-9]+=", Way.SET),
    Row(r"kubectl config set-context ", Way.ELSEWHERE, "tests/api/test_situations.py"),
    Row(r"kubectl ", Way.RUN),
    Row(r"aws ", Way.RUN),
    Row(r"trainingrun |pip install |docker run ", Way.ELSEWHERE, "tests/agent/cli/test_cli_documented.py"),
)
PAGES: Final = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
SITUATIONS: Final = "situations.md"  # whose commands tests/api/test_situations.py runs, each in its situation
# A command in running text has three words at least; `kubectl apply` alone is a name.
_INLINE: Final = re.compile(r"`((?:kubectl|helm|aws|make|docker) [^`\s]+ [^`]+)`")


def way_of(command: Command) -> Way | None:
    """How a command is tested; None when no row fits."""
    if command.page == SITUATIONS:
        return Way.ELSEWHERE
    return next((row.way for row in ROWS if re.match(row.pattern, command.text)), None)


def documented(*ways: Way) -> list[Command]:
    """Commands that are tested in one of these ways, by default all, in the order of their pages."""
    found = [command for page in PAGES for command in (*commands(page), *_inline(page))]
    return [command for command in found if not ways or way_of(command) in ways]


def _inline(page: Path) -> Iterator[Command]:
    fenced = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fenced ^= line.startswith("```")
        for text in () if fenced else _INLINE.findall(line):
            yield Command(page.name, number, "", text)
