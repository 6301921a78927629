"""The progress bar and the progress lines on standard error."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from cli_shell import Shell
from trainingrun_agent.cli import progress_bar as bar
from trainingrun_agent.cli.progress_bar import ProgressBar
from trainingrun_agent.clock import Clock
from trainingrun_agent.progress import Progress


class Stepped(Clock):
    """A clock that tests advance by hand."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class Terminal(io.StringIO):
    """A stream that reports being a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> Stepped:
    return Stepped()


@pytest.fixture
def progress(clock: Stepped) -> Progress:
    return Progress(stage="prep", pod_uid="cli", clock=clock)


def test_a_log_gets_a_line_every_few_seconds(progress: Progress, clock: Stepped) -> None:
    stream = io.StringIO()
    shown = ProgressBar(progress, quiet=False, stream=stream, clock=clock)
    shown.refresh()
    progress.update(phase="checking", unit="images", done=0, total=3640)
    for done in range(0, 3640, 300):
        progress.update(done=done, bytes=done * 30_000)
        shown.refresh()
        clock.seconds += 1
    assert stream.getvalue().splitlines() == [
        "checking 1500 of 3640 images, 300 images/s, 9.0 MB/s, 7 s left",
        "checking 3000 of 3640 images, 300 images/s, 9.0 MB/s, 2 s left",
    ]


PHASES: list[tuple[dict[str, Any], str]] = [
    ({"phase": "listing", "unit": "files", "done": 4000}, "listing 4000 files, 800 files/s"),
    (
        {"phase": "fetching", "unit": "bytes", "done": 5_000_000, "total": 10_000_000},
        "fetching labels 5.0 of 10.0 MB, 1.0 MB/s",
    ),
    (
        {"phase": "reading", "unit": "bytes", "done": 5_000_000, "total": 10_000_000},
        "reading labels 5.0 of 10.0 MB, 1.0 MB/s",
    ),
    ({"phase": "pairing", "unit": "files", "done": 500}, "matching images and labels 500 files, 100 files/s"),
    (
        {"phase": "comparing", "unit": "images", "done": 500, "total": 900},
        "looking for duplicates 500 of 900 images, 100 images/s",
    ),
    (
        {"phase": "reporting", "unit": "images", "done": 5, "total": 9},
        "drawing the report 5 of 9 images, 1 images/s",
    ),
    (
        {"phase": "writing", "unit": "bytes", "done": 5_000_000, "total": 5_000_000},
        "writing 5.0 of 5.0 MB, 1.0 MB/s",
    ),
]


@pytest.mark.parametrize(("fields", "line"), PHASES, ids=[fields["phase"] for fields, _ in PHASES])
def test_every_phase_is_shown_with_its_unit(
    progress: Progress, clock: Stepped, fields: dict[str, Any], line: str
) -> None:
    stream = io.StringIO()
    shown = ProgressBar(progress, quiet=False, stream=stream, clock=clock)
    progress.update(**{**fields, "done": 0})
    shown.refresh()
    clock.seconds += 5
    progress.update(**fields)
    shown.refresh()
    assert stream.getvalue() == f"{line}\n"


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end(progress: Progress, clock: Stepped) -> None:
    stream = Terminal()
    shown = ProgressBar(progress, quiet=True, stream=stream, clock=clock)
    with shown:
        progress.update(phase="listing", unit="files", done=10)
        shown.refresh()
        progress.update(phase="checking", unit="images", done=0, total=40)
        shown.refresh()
        clock.seconds += 1
        progress.update(done=10, bytes=3_000_000)
        shown.refresh()
    text = stream.getvalue()
    assert re.search(r"listing: 10 files", text)
    assert re.search(r"checking:  25%\|.*\| 10/40 .*images/s, 3\.0 MB/s", text)
    last = text.rpartition("\r")
    assert last[2] == ""
    assert last[0].rpartition("\r")[2].strip() == ""


@pytest.mark.parametrize("quiet", [True, False])
def test_quiet_means_no_progress(shell: Shell, monkeypatch: pytest.MonkeyPatch, quiet: bool) -> None:
    monkeypatch.setattr(bar, "LINE_SECONDS", 0.0)
    monkeypatch.setattr(bar, "REFRESH_SECONDS", 0.0)
    ended = shell.run("doctor", "images", *(["--quiet"] if quiet else []))
    assert (ended.code, ended.err == "") == (0, quiet)
