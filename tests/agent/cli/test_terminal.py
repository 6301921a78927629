"""What the command line prints: colours of ours, and nothing else that a terminal obeys."""

from __future__ import annotations

import io
import re

import pytest

from cli_shell import Shell
from trainingrun_agent import redaction
from trainingrun_agent.cli import terminal
from trfakes.hostile import DANGEROUS, HOSTILE, MARK
from voc_data import jpeg, labelled, voc

COLOURS = re.compile("\x1b\\[[0-9;]+m")


class Terminal(io.StringIO):
    """A stream that shows colours."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal with colours."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def test_a_line_has_our_colours_and_no_others(stream: Terminal) -> None:
    style = terminal.Style.for_stream(stream)
    terminal.print_lines([f"{style('error', f'bad {HOSTILE}')}: \x1b[32;1mgood\x1b[0m"], stream)
    shown = stream.getvalue()
    assert shown.startswith(f"\x1b[31;1mbad {MARK}")
    assert shown.endswith("\x1b[0m: \ufffd[32;1mgood\ufffd[0m\n")
    assert not DANGEROUS.search(COLOURS.sub("", shown).removesuffix("\n"))


def test_an_unexpected_error_attacks_no_reader_and_shows_no_credential(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(redaction, "_values", {"canary-0123456789": None})
    terminal.print_error(ValueError, ValueError(f"{HOSTILE} canary-0123456789"), None)
    printed = capsys.readouterr().err
    assert printed.startswith(f"ValueError: {MARK}")
    assert "canary" not in printed
    assert not DANGEROUS.search(printed.replace("\n", ""))


@pytest.mark.parametrize("command", [("doctor", "data"), ("convert", "data", "--out", "records")])
def test_names_in_a_folder_attack_no_reader(shell: Shell, command: tuple[str, ...]) -> None:
    name = "".join(sign for sign in HOSTILE if sign not in "\0/")
    shown = "".join(sign for sign in name if sign >= " ")
    for number in range(3):
        shell.add(f"data/{name}{number}", jpeg(seed=number), voc([labelled("tire"), labelled(shown)]))
    shell.add(f"data/{name}bad", b"no image")
    ended = shell.run(*command, "--classes", "tire", "--html", "page.html")
    printed = ended.out + ended.err
    assert printed.count(MARK) > 3
    assert not DANGEROUS.search(printed.replace("\n", ""))
    page = (shell.root / "page.html").read_text()
    assert MARK in page
    assert not DANGEROUS.search(page.replace("\n", "").replace("\u200d", ""))
