"""docs/situations.md shows what kubectl really prints: bring about each situation and run its commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from trdemo.documented_commands import commands, difference
from trdemo.next_step import in_shell
from trdemo.shell import Kubectl
from trfakes.situations import SITUATIONS, Environment

pytestmark = pytest.mark.api
PAGE = Path(__file__).resolve().parents[2] / "docs" / "situations.md"
COMMANDS = commands(PAGE)


def test_every_situation_is_on_the_page() -> None:
    assert list(dict.fromkeys(command.heading for command in COMMANDS[1:])) == list(SITUATIONS)


@pytest.mark.parametrize("heading", SITUATIONS)
def test_kubectl_shows_what_the_page_shows(
    environment: Environment, user: Kubectl, tmp_path: Path, heading: str
) -> None:
    SITUATIONS[heading](environment)
    wrong = []
    for command in COMMANDS:
        if command.heading != heading:
            continue
        differs = difference(command.shown, in_shell(user, command.text, folder=tmp_path))
        wrong += [f"{command.location}: {command.text}\n{differs}"] if differs else []
    assert not wrong, "\n\n".join(wrong)
