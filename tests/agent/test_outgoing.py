"""Text that leaves the agent holds no credentials, and nothing that attacks whoever reads it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator

import pytest

from trainingrun_agent import log, redaction, verdict
from trainingrun_agent.errors import Outcome
from trainingrun_agent.outgoing import outgoing, outgoing_document, plain
from trainingrun_agent.progress import Progress
from trainingrun_agent.verdict import Verdict
from trfakes.hostile import BROKEN, DANGEROUS, GATED, HOSTILE, MARK, dangerous

CANARY = "canary-0123456789"


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """One credential is known."""
    monkeypatch.setattr(redaction, "_values", {CANARY: None})


@pytest.fixture
def log_settings() -> Iterator[None]:
    """Restore what `log.set_up` changes."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, log.logger.level, threading.excepthook)
    yield
    root.handlers[:], threading.excepthook = before[0], before[3]
    root.setLevel(before[1])
    log.logger.setLevel(before[2])


@pytest.mark.parametrize(("text", "shown"), GATED.values(), ids=GATED)
def test_it_is_the_gate_of_the_operator(text: str, shown: str) -> None:
    assert plain(text) == outgoing(text) == shown


@pytest.mark.parametrize("before", range(1020, 1028))
def test_a_joiner_is_judged_by_its_neighbours_also_in_a_long_text(before: int) -> None:
    """Long texts are made plain in pieces."""
    spelt, hiding = "\u06cc" * before + "\u200c\u06cc\n", "a" * before + "\u200db\n"
    assert plain(spelt) == f"{spelt[:-1]} "
    assert plain(hiding) == "a" * before + "\ufffdb "


def test_a_document_passes_as_a_whole() -> None:
    found = outgoing_document({"a": [f"\x1b{CANARY}"], "b": {"c": CANARY}, "d": 5, "e": None})
    assert found == {"a": ["\ufffd[redacted]"], "b": {"c": "[redacted]"}, "d": 5, "e": None}


def test_every_text_of_a_verdict_passes() -> None:
    numbers = {"topFindings": [BROKEN, CANARY], "storageWarning": BROKEN, "trainImages": 5}
    step = {"kind": "newRun", "field": "train.steps", "value": BROKEN, "try": CANARY}
    found = Verdict("prep", Outcome.CRASH, "Crash", BROKEN + CANARY, BROKEN, numbers=numbers, next_step=step)
    document = json.loads(verdict.encode(found))
    assert dangerous(document) == []
    assert CANARY not in str(document)
    assert document["numbers"]["topFindings"][0].startswith(MARK)


def test_a_credential_at_the_bound_of_a_message_is_not_cut_in_half() -> None:
    message = "m" * (verdict.MAX_MESSAGE - 5) + CANARY
    document = Verdict("prep", Outcome.CRASH, "Crash", message).to_json()
    assert "canar" not in document["message"]
    progress = Progress(stage="prep", pod_uid="p")
    progress.storage_fails(reason="X", message="m" * 1019 + CANARY)
    assert "canar" not in str(progress.snapshot())


def test_progress_attacks_no_reader() -> None:
    progress = Progress(stage="prep", pod_uid="p")
    progress.update(format=BROKEN)
    progress.storage_fails(reason="X", message=BROKEN)
    assert dangerous(progress.snapshot()) == []


def test_no_line_of_the_log_attacks_a_reader(log_settings: None, capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up()
    log.logger.info("%s %s", HOSTILE, CANARY)
    try:
        raise ValueError(f"{HOSTILE} {CANARY}")
    except ValueError as error:
        log.logger.error("unexpected error", exc_info=error)
    thread = threading.Thread(target=int, args=(f"{HOSTILE} {CANARY}",), name="reads")
    thread.start()
    thread.join()
    out, err = capsys.readouterr()
    assert err == ""
    assert (out.count(MARK), out.count("[redacted]")) == (3, 3)
    assert not DANGEROUS.search(out.replace("\n", ""))
    assert "\n2026-01-01" not in out
    assert "thread reads was ended" in out
