"""Progress, the HTTP server around it, its metrics and its log lines."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from trainingrun_agent import log, redaction
from trainingrun_agent.clock import Clock
from trainingrun_agent.kubelet_probes import KubeletProbes
from trainingrun_agent.progress import Progress
from trainingrun_agent.server import AgentServer
from trainingrun_agent.trainer_probe import TrainerProbe

pytestmark = pytest.mark.contract


@pytest.fixture
def progress(fake_clock: Clock) -> Progress:
    """Progress of a prep pod in fake time."""
    return Progress(stage="prep", pod_uid="pod-1", clock=fake_clock)


def test_every_snapshot_follows_the_contract(progress: Progress, contract: Callable[[str, Any], None]) -> None:
    contract("progress", progress.snapshot())
    progress.update(phase="checking", done=3, total=10, unit="images", epoch=2)
    progress.storage_fails(reason="EndpointUnreachable", message="x" * 5000)
    progress.update(timings={"fetch": 1.0, "work": 2.0, "ship": 0.0}, loss=0.5, step=3, steps=9)
    contract("progress", progress.snapshot())
    assert progress.snapshot()["updated"] == "2026-01-31T12:00:00Z"


def test_eta_follows_the_pace_of_the_main_work(progress: Progress, fake_clock: Clock) -> None:
    progress.update(phase="checking", done=10, total=100, unit="images")
    assert "etaSeconds" not in progress.snapshot()
    for done in (23, 37, 50):
        assert "etaSeconds" not in progress.snapshot()
        fake_clock.sleep(7)
        progress.update(done=done)
    assert progress.snapshot()["etaSeconds"] == 26
    progress.update(phase="writing")
    assert progress.snapshot().keys().isdisjoint({"done", "total", "etaSeconds"})


def test_a_warning_about_storage_is_shown_again_after_an_outage(progress: Progress) -> None:
    progress.storage_usable(reason="ConditionalWritesIgnored", message="beware")
    before = progress.snapshot()["storage"]
    progress.storage_fails(reason="ServerError", message="down")
    progress.storage_answers()
    assert progress.snapshot()["storage"] == before == {"ready": True, "reason": before["reason"], "message": "beware"}


def test_images_that_are_taken_over_hide_neither_pace_nor_rate(progress: Progress, fake_clock: Clock) -> None:
    progress.update(phase="checking", unit="images", done=0, total=1000, bytes=0)
    progress.update(phase="checking", unit="images", done=900, total=1000, bytes=0, reused=900)
    for done in (903, 906, 910):
        fake_clock.sleep(3)
        progress.update(phase="checking", unit="images", done=done, total=1000, bytes=1000 * (done - 900), reused=900)
    fake_clock.sleep(1)
    progress.storage_answers()  # any other change in between
    shown = progress.snapshot()
    assert (shown["percent"], shown["etaSeconds"], shown["bytesPerSecond"]) == (91, 81, 1000)


def test_the_rate_follows_the_bytes_of_the_phase(
    progress: Progress, fake_clock: Clock, contract: Callable[[str, Any], None]
) -> None:
    progress.update(phase="checking", done=0, total=100, unit="images", bytes=0)
    assert "bytesPerSecond" not in progress.snapshot()
    fake_clock.sleep(2)
    progress.update(done=10, bytes=82_000_000)
    contract("progress", progress.snapshot())
    assert progress.snapshot()["bytesPerSecond"] == 41_000_000
    assert "bytes" not in progress.snapshot()


def test_the_rate_covers_the_last_seconds(progress: Progress, fake_clock: Clock) -> None:
    moved = 0
    progress.update(phase="checking", bytes=0)
    for each_second in (1000, 100):
        for _ in range(40):
            fake_clock.sleep(1)
            moved += each_second
            progress.update(bytes=moved)
        assert progress.snapshot()["bytesPerSecond"] == each_second


def test_the_rate_falls_while_nothing_comes(progress: Progress, fake_clock: Clock) -> None:
    progress.update(phase="checking", bytes=0)
    fake_clock.sleep(5)
    progress.update(bytes=5000)
    fake_clock.sleep(95)
    assert progress.snapshot()["bytesPerSecond"] == 50


def test_a_count_of_bytes_has_its_rate(progress: Progress, fake_clock: Clock) -> None:
    progress.update(phase="writing", done=0, total=900, unit="bytes")
    fake_clock.sleep(3)
    progress.update(done=600)
    assert progress.snapshot()["bytesPerSecond"] == 200
    progress.update(done=0)
    assert progress.snapshot()["bytesPerSecond"] == 0


def test_another_phase_has_no_rate_yet(progress: Progress, fake_clock: Clock) -> None:
    progress.update(phase="checking", bytes=0)
    fake_clock.sleep(5)
    progress.update(bytes=5000)
    progress.update(phase="writing")
    fake_clock.sleep(5)
    assert "bytesPerSecond" not in progress.snapshot()
    progress.update(bytes=10)
    assert progress.snapshot()["bytesPerSecond"] == 2


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")], ids=str)
def test_values_that_json_cannot_hold_are_left_out(progress: Progress, value: float | None) -> None:
    progress.update(loss=1.0)
    progress.update(loss=value)
    assert "loss" not in progress.snapshot()


def test_an_unknown_field_is_a_mistake_of_the_caller(progress: Progress) -> None:
    with pytest.raises(TypeError, match="stepz"):
        progress.update(stepz=1)


@pytest.fixture
def probe() -> TrainerProbe:
    """The probe behind /trainer-alive."""
    return TrainerProbe()


@pytest.fixture
def url(progress: Progress, probe: TrainerProbe) -> Iterator[str]:
    """Address of a running server."""
    server = AgentServer(progress, probe, KubeletProbes(Clock(), probe), host="127.0.0.1", port=0)
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_progress_is_served(url: str, progress: Progress, contract: Callable[[str, Any], None]) -> None:
    progress.update(phase="listing", done=5, total=9, unit="files")
    status, body = _get(f"{url}/progress?x=1")
    assert status == 200
    contract("progress", json.loads(body))
    assert json.loads(body)["done"] == 5


def test_trainer_alive_asks_the_installed_check(url: str, probe: TrainerProbe) -> None:
    assert _get(f"{url}/trainer-alive") == (200, "ok\n")
    probe.install(lambda: "no sign of life for 600 s")
    assert _get(f"{url}/trainer-alive") == (503, "no sign of life for 600 s\n")


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/", 404), ("/../etc/passwd", 404)])
def test_other_paths(url: str, path: str, status: int) -> None:
    assert _get(url + path)[0] == status


def test_metrics(url: str, progress: Progress) -> None:
    progress.update(phase="checking", done=7, total=8, unit="images")
    progress.count_bytes(down=100, up=5)
    progress.storage_fails(reason="ServerError", message="")
    lines = _get(f"{url}/metrics")[1].splitlines()
    assert 'trainingrun_agent_progress_done{unit="images"} 7' in lines
    assert 'trainingrun_agent_progress_total{unit="images"} 8' in lines
    assert "trainingrun_agent_progress_percent 87" in lines
    assert "trainingrun_agent_storage_received_bytes_total 100" in lines
    assert "trainingrun_agent_storage_sent_bytes_total 5" in lines
    assert "trainingrun_agent_storage_ready 0" in lines


def test_progress_lines_are_rare_but_report_storage_at_once(progress: Progress, fake_clock: Clock) -> None:
    lines = log.ProgressLines(progress, fake_clock)
    due = []
    for second in range(100):
        if second == 40:
            progress.storage_fails(reason="ServerError", message="down")
        if second < 60:
            progress.update(done=second)
        line = lines.due_line()
        if line:
            due.append((second, json.loads(line.removeprefix("progress "))))
        fake_clock.sleep(1)
    assert [second for second, _ in due] == [5, 35, 40, 70]
    assert due[2][1]["storage"]["ready"] is False


def test_log_lines_and_tracebacks_are_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    redaction.register("tell-nobody")
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    try:
        log.set_up()
        try:
            raise ValueError("tell-nobody")
        except ValueError:
            log.logger.exception("with %s", "tell-nobody")
    finally:
        root.handlers[:], root.level = before
    out = capsys.readouterr().out
    assert "tell-nobody" not in out
    assert "ERROR with [redacted]" in out
    assert "ValueError: [redacted]" in out


def test_words_too_short_to_be_secrets_are_left_alone() -> None:
    redaction.register("abc")
    assert redaction.redact("abcdef") == "abcdef"
