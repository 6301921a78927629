"""Table of how the commands in README.md and docs/ are tested: one row per kind of command, the first match counts.

Invariant: tests/repository/test_documented_commands.py fails for a command that matches no row, so none stays untested.
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
    """How a test checks a documented command, beyond its syntax (`bash -n`)."""

    RUN = "run against the installed operator"
    DRY_RUN = "run against the installed operator with --dry-run"
    HELM = "run with --dry-run, and the chart rendered with the same flags"
    SET = "sets a variable for the commands below it on the same page"
    MAKE = "make -n"
    DOCKER = "names a Dockerfile that tests/images builds"
    ELSEWHERE = "run by another test"


@dataclass(frozen=True, slots=True)
class Row:
    """How commands that start with `pattern` are tested; `why` says what keeps them from being run."""

    pattern: str
    way: Way
    why: str = ""


ROWS: Final = (
    Row(r"make ", Way.MAKE, "make runs the tests, so a test cannot run make"),
    Row(r"(for image in .*)?docker (build|push) ", Way.DOCKER, "no Docker daemon; tests/images builds with buildah"),
    Row(r"helm (install|upgrade|uninstall) ", Way.HELM, "one installation serves all tests of a session"),
    Row(r"helm rollback |kubectl delete (--filename manifests|namespace)", Way.ELSEWHERE, "tests/e2e/test_install.py"),
    Row(r"helm template ", Way.DRY_RUN, "uninstalling the release would not remove what it applies"),
    Row(r"helm history ", Way.RUN),
    Row(r"kubectl delete (trainingruns --all|crd) ", Way.DRY_RUN, "would delete the runs of other tests"),
    Row(r"kubectl apply --server-side -k manifests/", Way.ELSEWHERE, "tests/api/test_manifests_install.py"),
    Row(r"(export )?[A-Z_0-9]+=", Way.SET),
    Row(r"source demo-output/env\.sh ", Way.RUN),
    Row(r"kubectl config set-context ", Way.ELSEWHERE, "tests/api/test_situations.py"),
    Row(r"kubectl .* wait --for=condition=Qualified ", Way.ELSEWHERE, "tests/e2e/test_second_run.py"),
    Row(r"kubectl create clusterrolebinding issuer-discovery ", Way.ELSEWHERE, "tests/e2e/test_keyless.py"),
    Row(r"kubectl ", Way.RUN),
    Row(r"aws ", Way.RUN),
    Row(r"trainingrun |pip install |docker run ", Way.ELSEWHERE, "tests/agent/cli/test_documented.py"),
)
PAGES: Final = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
SITUATIONS: Final = "situations.md"  # tests/api/test_situations.py runs the commands of this page
# In running text, code with at least three words is a command; `kubectl apply` is only a name.
_INLINE: Final = re.compile(r"`((?:kubectl|helm|aws|make|docker) [^`\s]+ [^`]+)`")


def way_of(command: Command) -> Way | None:
    """Find how a command is tested; None when no row matches it."""
    if command.page == SITUATIONS:
        return Way.ELSEWHERE
    return next((row.way for row in ROWS if re.match(row.pattern, command.text)), None)


def documented(*ways: Way) -> list[Command]:
    """List the documented commands, page by page: all, or only those tested in one of these ways."""
    found = [command for page in PAGES for command in (*commands(page), *_inline(page))]
    return [command for command in found if not ways or way_of(command) in ways]


def _inline(page: Path) -> Iterator[Command]:
    fenced = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fenced ^= line.startswith("```")
        for text in () if fenced else _INLINE.findall(line):
            yield Command(page.name, number, "", text)
