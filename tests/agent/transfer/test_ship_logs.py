"""Logs that outlive their pod: what is uploaded at the end of an attempt, of what, and what it may cost."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from trainingrun_agent import redaction
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.log import RECENT, RecentLines
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.shared.trainer_log import last_line
from trainingrun_agent.storage.client import PREFLIGHT
from trainingrun_agent.storage.s3 import open_store
from trainingrun_agent.transfer import ship_logs as module
from trainingrun_agent.transfer.ship_logs import MAX_BYTES, ship_logs
from trfakes.hostile import DANGEROUS, HOSTILE

pytestmark = pytest.mark.contract
FOLDER = "lab/runs/team/tire-0a1b2c3d/logs/"


@pytest.fixture
def agents_own() -> Iterator[None]:
    RECENT.emit(logging.LogRecord("x", logging.INFO, "x", 1, "a line of the agent", None, None))
    yield
    RECENT._lines.clear()


class Attempt:
    """A pod of a run that ends."""

    def __init__(self, run: Any, stage: str = "train") -> None:
        self.context = run.pod(stage)
        self.shared: Path = self.context.config.shared
        self.folder = f"{FOLDER}{stage}-0001-{self.context.config.pod_uid[:8]}/"

    def ship(self) -> str:
        return ship_logs(self.context.config, lambda: self.context.out)

    def stored(self) -> dict[str, bytes]:
        store = self.context.out
        return {
            info.key.removeprefix(self.folder): store.get(info.key, max_bytes=MAX_BYTES) for info in store.list(FOLDER)
        }


@pytest.mark.parametrize(
    ("stage", "names"), [("prep", {"agent.log"}), ("train", {"agent.log", "trainer.log"})], ids=["prep", "train"]
)
def test_both_logs_are_in_the_bucket_when_the_attempt_has_ended(
    run: Any, agents_own: None, stage: str, names: set[str]
) -> None:
    attempt = Attempt(run, stage)
    (attempt.shared / "trainer.log.1").write_bytes(b"first\n")
    (attempt.shared / "trainer.log").write_bytes(b"step 7\nTraceback: \xff\n")
    assert attempt.ship() == f"s3://{attempt.context.out.bucket}/{FOLDER}"
    stored = attempt.stored()
    assert stored.keys() == names
    assert stored["agent.log"].endswith(b"a line of the agent\n")
    if stage == "train":
        assert stored["trainer.log"].decode() == "first\nstep 7\nTraceback: \ufffd\n"


def test_the_log_of_the_exporter_has_its_name(run: Any) -> None:
    attempt = Attempt(run, "export")
    (attempt.shared / "trainer.log").write_bytes(b"exporting\n")
    attempt.ship()
    assert attempt.stored() == {"exporter.log": b"exporting\n"}


def test_what_a_trainer_prints_attacks_no_reader_and_shows_no_credential(run: Any) -> None:
    redaction.register("canary-of-the-logs")
    attempt = Attempt(run)
    (attempt.shared / "trainer.log").write_text(f"canary-of-the-logs {HOSTILE}\n", errors="replace")
    attempt.ship()
    text = attempt.stored()["trainer.log"].decode()
    assert "canary-of-the-logs" not in text
    assert not DANGEROUS.search(text.replace("\n", ""))


@pytest.mark.parametrize(
    "line", [b"x" * 99 + b"\n", b"\0" * 8192, b"\x1b\xe2\x80\x8d" * 999], ids=["lines", "NUL", "joiners"]
)
def test_only_the_end_of_a_log_is_uploaded(run: Any, line: bytes) -> None:
    attempt = Attempt(run)
    (attempt.shared / "trainer.log").write_bytes(line * (6 * MAX_BYTES // 4 // len(line)) + b"the end")
    assert attempt.ship()
    data = attempt.stored()["trainer.log"]
    assert MAX_BYTES - 100 <= len(data) <= MAX_BYTES
    assert data.endswith(b"the end")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b" "], ids=["lines", "CRLF", "progress bars", "one line"])
def test_a_credential_that_is_cut_is_masked(run: Any, monkeypatch: pytest.MonkeyPatch, end: bytes) -> None:
    """The end of the log begins inside of one, and another one begins in the older file and ends in the newer one."""
    monkeypatch.setattr(module, "MAX_BYTES", 1 << 14)
    redaction.register("canary-of-the-logs")
    attempt = Attempt(run)
    lines = (b"step 7" + end) * 4000
    last = b"canary-of-the-logs" + end
    both = b"canary" + (b"-of-the-logs" + end + lines)[: (1 << 14) - len(last)] + last
    (attempt.shared / "trainer.log.1").write_bytes(both[: -len(last) + 6])
    (attempt.shared / "trainer.log").write_bytes(both[-len(last) + 6 :])
    attempt.ship()
    uploaded = attempt.stored()["trainer.log"]
    assert b"canary" not in uploaded
    assert b"of-the-logs" not in uploaded
    assert b"[redacted]" in uploaded
    assert len(uploaded) > (1 << 14) - 4200


def test_the_last_line_is_whole_when_a_new_file_has_just_begun(run: Any) -> None:
    attempt = Attempt(run)
    (attempt.shared / "trainer.log.1").write_bytes(b"step 7\nterminate called after throwing")
    (attempt.shared / "trainer.log").write_bytes(b" an instance of std::bad_alloc\n")
    with Folder.open(attempt.shared) as folder:
        assert last_line(folder, attempt.context.clock) == (
            "terminate called after throwing an instance of std::bad_alloc"
        )


def link(path: Path, secret: Path) -> None:
    path.symlink_to(secret)


def fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def endless(path: Path, _: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


@pytest.mark.parametrize(
    "attack", [link, fifo, lambda path, _: path.mkdir(), endless], ids=["link", "FIFO", "folder", "1 TiB"]
)
def test_an_attacking_trainer_gets_nothing_uploaded_and_holds_nothing_up(
    run: Any, tmp_path: Path, attack: Callable[[Path, Path], None]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    attempt = Attempt(run)
    attack(attempt.shared / "trainer.log", secret)
    attempt.ship()
    assert all(b"the secret" not in data for data in attempt.stored().values())
    with Folder.open(attempt.shared) as folder:
        assert "secret" not in last_line(folder, attempt.context.clock)


@pytest.fixture
def silent() -> Iterator[str]:
    """The endpoint of a server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_storage_that_does_not_answer_costs_a_few_seconds_and_no_verdict(
    make_config: Callable[..., AgentConfig], silent: str, agents_own: None, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.1)
    config = make_config("prep", endpoint=silent)
    assert ship_logs(config, partial(open_store, config, "detectors", limits=PREFLIGHT._replace(read=1))) == ""
    assert "the logs were not uploaded within" in caplog.text


def test_storage_that_refuses_changes_nothing(
    make_config: Callable[..., AgentConfig], canned_server: Any, agents_own: None, caplog: Any
) -> None:
    canned_server.answers = [(403, "<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>")]
    config = make_config("prep", endpoint=canned_server.endpoint)
    assert ship_logs(config, partial(open_store, config, "detectors", limits=PREFLIGHT)) == ""
    assert len(canned_server.requests) == 1
    assert "the logs were not uploaded: AccessDenied" in caplog.text


def test_the_agent_keeps_the_last_lines_only() -> None:
    recent = RecentLines(max_characters=30)
    for number in range(99):
        recent.emit(logging.LogRecord("x", logging.INFO, "x", 1, f"line {number}", None, None))
    assert recent.text() == "line 96\nline 97\nline 98\n"
    recent.emit(logging.LogRecord("x", logging.INFO, "x", 1, "x" * 99 + "the end", None, None))
    assert recent.text() == "x" * 22 + "the end\n"
    recent.emit(logging.LogRecord("x", logging.INFO, "x", 1, "%d of %d", (1,), None))  # as a library may
    assert recent.text() == "x" * 22 + "the end\n"


def test_the_last_line_is_waited_for_while_the_wrapper_copies_it(run: Any, fake_clock: Any) -> None:
    import fcntl

    attempt = Attempt(run)
    path = attempt.shared / "trainer.log"
    with path.open("wb") as wrapper:
        fcntl.flock(wrapper, fcntl.LOCK_EX)
        sleep = fake_clock.sleep

        def copied(seconds: float) -> None:
            sleep(seconds)
            if len(fake_clock.waits) == 3:
                path.write_bytes(b"the last words\n")
                fcntl.flock(wrapper, fcntl.LOCK_UN)

        fake_clock.sleep = copied
        with Folder.open(attempt.shared) as folder:
            assert last_line(folder, fake_clock) == "the last words"
            fcntl.flock(wrapper, fcntl.LOCK_EX)
            assert last_line(folder, fake_clock) == "the last words"  # a lock that is never given back
    assert 2 <= fake_clock.seconds < 2.5
