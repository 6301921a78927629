"""No text in the operator's log drives a terminal or looks like a line of its own."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest

from trainingrun import logs
from trfakes.hostile import DANGEROUS, HOSTILE, MARK


@pytest.fixture(params=["plain", "json"])
def handler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> logging.Handler:
    """The handler of the operator's log."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers)
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    made: list[logging.Handler] = []
    monkeypatch.setattr(logging, "basicConfig", lambda **options: made.extend(options["handlers"]))
    logs.set_up(level="INFO", style=request.param)
    return made[0]


def record(*, error: BaseException | None = None) -> logging.LogRecord:
    trace = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("trainingrun", logging.ERROR, "x.py", 1, "%s failed", (HOSTILE,), trace)


def test_a_message_is_one_line_and_drives_no_terminal(handler: logging.Handler) -> None:
    line = handler.format(record())
    shown = json.loads(line)["message"] if line.startswith("{") else line
    assert MARK in shown
    assert not DANGEROUS.search(line)
    assert not DANGEROUS.search(shown)


def test_programs_find_in_fields_what_a_line_is_about(handler: logging.Handler) -> None:
    about = record()
    about.fields = {"run": "default/tire", "attempt": 2, "reason": HOSTILE}
    line = handler.format(about)
    assert not DANGEROUS.search(line)
    if line.startswith("{"):
        found = json.loads(line)
        assert (found["run"], found["attempt"], found["level"]) == ("default/tire", 2, "ERROR")
        assert not DANGEROUS.search(found["reason"])


def test_a_traceback_drives_no_terminal_and_forges_no_line(handler: logging.Handler) -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError as error:
        line = handler.format(record(error=error))
    shown = json.loads(line)["exception"] if line.startswith("{") else line.partition("\n")[2]
    assert f"ValueError: {MARK}" in shown
    for each in shown.split("\n"):
        assert each.startswith("  ")
        assert not DANGEROUS.search(each)


def test_what_ends_the_process_passes_the_same_gate(handler: logging.Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without propagation: pytest would keep the raw text, which its workers cannot send.
    monkeypatch.setattr(logs.log, "propagate", False)
    lines = io.StringIO()
    seen = logging.StreamHandler(lines)
    seen.setFormatter(handler.formatter)
    monkeypatch.setattr(logs.log, "handlers", [seen])
    sys.excepthook(ValueError, ValueError(HOSTILE), None)
    assert MARK in lines.getvalue()
    assert not DANGEROUS.search(lines.getvalue().replace("\n", ""))
