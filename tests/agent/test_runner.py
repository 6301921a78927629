"""Every end of a command has an exit code, and a verdict without secrets."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trainingrun_agent import runner
from trainingrun_agent.config import AgentConfig, Paths
from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import Interrupted, StorageRefused, UserError
from trainingrun_agent.kubelet_probes import KubeletProbes
from trainingrun_agent.reasons.dataset import DATA_CHANGED
from trainingrun_agent.reasons.pods import PREPARED
from trainingrun_agent.reasons.storage import CLOCKS_DIFFER, TLS_ERROR
from trainingrun_agent.runner import run
from trainingrun_agent.storage import heartbeat, stores
from trainingrun_agent.storage.client import HEARTBEAT
from trainingrun_agent.verdict import StageResult, Timings
from trcluster.waiting import until
from trfakes.hostile import DANGEROUS

pytestmark = pytest.mark.contract
ENV = {"POD_UID": "11112222-3333-4444-5555-666677778888", "POD_IP": "127.0.0.1"}
PACKAGE = Path(__file__).parents[2] / "images" / "agent"


@pytest.fixture(autouse=True)
def keep_signal_handlers() -> Iterator[None]:
    """Restore the signal handlers of pytest, which the runner replaces."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _succeed(context: StageContext) -> StageResult:
    context.record.claimed(4)
    return StageResult(PREPARED, {"images": "2 images"})


def _raise(error: BaseException) -> Callable[[StageContext], StageResult]:
    def main(context: StageContext) -> StageResult:
        context.record.claimed(4)
        context.record.numbers = {"trainImages": 5}
        context.record.timings = Timings(fetch=1.0)
        raise error

    return main


def _send_sigterm(context: StageContext) -> StageResult:
    os.kill(os.getpid(), signal.SIGTERM)
    assert context.stop.wait(60)
    raise Interrupted


TLS = StorageRefused(TLS_ERROR, call="GetObject", where="s3://x/y", answer="no")
LATE = StorageRefused(CLOCKS_DIFFER, seconds="many", direction="behind", endpoint="http://s3")
FULL = OSError(errno.ENOSPC, "no space", "/shared/x")
WAYS = [
    pytest.param(_succeed, "succeeded", "Prepared", id="success"),
    pytest.param(_raise(UserError(DATA_CHANGED, files="1 file")), "userError", "DataChanged", id="user error"),
    pytest.param(
        _raise(TLS),
        "storageRefused",
        "TLSError",
        id="refused",
    ),
    pytest.param(_send_sigterm, "interrupted", "Interrupted", id="SIGTERM"),
    pytest.param(_raise(MemoryError()), "outOfMemory", "OutOfMemory", id="memory"),
    pytest.param(_raise(FULL), "diskFull", "DiskFull", id="disk"),
    pytest.param(_raise(KeyError("canary-value")), "crash", "UnexpectedError", id="bug"),
    pytest.param(_raise(OSError(errno.EACCES, "denied")), "crash", "UnexpectedError", id="other OSError"),
    pytest.param(_raise(SystemExit(0)), "crash", "UnexpectedError", id="somebody calls exit"),
    pytest.param(_raise(LATE), "crash", "UnexpectedError", id="a message that does not fit its values"),
    pytest.param(lambda _: None, "crash", "UnexpectedError", id="no result"),
]


@pytest.mark.parametrize(("main", "outcome", "reason"), WAYS)
def test_every_end_has_a_verdict(
    make_config: Callable[..., AgentConfig],
    agent_paths: Paths,
    contract: Callable[[str, Any], None],
    main: Callable[[StageContext], StageResult],
    outcome: str,
    reason: str,
) -> None:
    make_config()
    code = run("prep", env=ENV, paths=agent_paths, port=0, main=main)
    verdict = json.loads(agent_paths.termination_log.read_bytes())
    contract("verdict", verdict)
    assert (verdict["outcome"], verdict["reason"], code) == (outcome, reason, int(outcome != "succeeded"))
    assert "canary-value" not in json.dumps(verdict)


@pytest.mark.parametrize("stage", ["prep", "train", "export"])
def test_every_stage_notices_a_hanging_server_while_it_asks_nothing_of_it(
    make_config: Callable[..., AgentConfig],
    agent_paths: Paths,
    canned_server: Any,
    monkeypatch: pytest.MonkeyPatch,
    stage: Any,
) -> None:
    monkeypatch.setattr(heartbeat, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(heartbeat, "TURN_SECONDS", 0.05)
    monkeypatch.setattr(stores, "HEARTBEAT", HEARTBEAT._replace(read=0.2))
    canned_server.answers = [(206, "{")]

    def wait_for_hang_and_end(context: StageContext) -> StageResult:
        def shows(ready: bool) -> None:
            until(
                lambda: context.progress.snapshot().get("storage", {}).get("ready", True) is ready,
                what=f"storage to be shown as ready: {ready}",
                seconds=30,
                every=0.02,
            )

        canned_server.gate.clear()
        shows(False)
        assert context.progress.snapshot()["storage"]["reason"] == "EndpointUnreachable"
        canned_server.gate.set()
        shows(True)
        return StageResult(PREPARED, {"images": "2 images"})

    make_config(stage, endpoint=canned_server.endpoint)
    assert run(stage, env=ENV, paths=agent_paths, port=0, main=wait_for_hang_and_end) == 0


def test_an_unexpected_error_names_its_place(make_config: Callable[..., AgentConfig], agent_paths: Paths) -> None:
    make_config()
    run("prep", env=ENV, paths=agent_paths, port=0, main=_raise(KeyError("x")))
    verdict = json.loads(agent_paths.termination_log.read_bytes())
    assert verdict["message"].startswith("KeyError at test_runner.py:")
    assert verdict["message"].endswith(" in main")
    assert (verdict["epoch"], verdict["timings"]["fetch"], verdict["numbers"]) == (4, 1.0, {"trainImages": 5})


def test_a_config_that_cannot_be_read_has_a_verdict(agent_paths: Paths) -> None:
    assert run("prep", env=ENV, paths=agent_paths, port=0) == 1
    assert json.loads(agent_paths.termination_log.read_bytes())["reason"] == "ContractMismatch"


def test_a_port_in_use_has_a_verdict(make_config: Callable[..., AgentConfig], agent_paths: Paths) -> None:
    make_config()
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        assert run("prep", env=ENV, paths=agent_paths, port=port, main=_succeed) == 1
    assert json.loads(agent_paths.termination_log.read_bytes())["outcome"] == "crash"


@pytest.mark.parametrize(("main", "code"), [(_raise(FULL), 28), (_raise(KeyError("x")), 28), (_succeed, 0)])
def test_a_verdict_that_does_not_fit_on_the_disk_is_told_by_the_exit_code(
    make_config: Callable[..., AgentConfig], agent_paths: Paths, main: Callable[..., StageResult], code: int
) -> None:
    make_config()
    paths = replace(agent_paths, termination_log=Path("/dev/full"))
    assert run("prep", env=ENV, paths=paths, port=0, main=main) == code


def test_without_a_termination_log_the_verdict_is_in_the_log(
    make_config: Callable[..., AgentConfig], agent_paths: Paths, caplog: pytest.LogCaptureFixture
) -> None:
    make_config()
    agent_paths.termination_log.mkdir()
    caplog.set_level("INFO", logger="trainingrun_agent")
    assert run("prep", env=ENV, paths=agent_paths, port=0, main=_raise(UserError(DATA_CHANGED, files="1 file"))) == 1
    assert '"reason":"DataChanged"' in caplog.text
    assert "the verdict cannot be written" in caplog.text


def test_the_mirror_leaves_no_verdict(make_config: Callable[..., AgentConfig], agent_paths: Paths) -> None:
    make_config()
    assert run("mirror", env={}, paths=agent_paths, port=0, main=_raise(UserError(DATA_CHANGED, files="1 file"))) == 1
    assert not agent_paths.termination_log.exists()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_the_server_answers_while_the_stage_works(make_config: Callable[..., AgentConfig], agent_paths: Paths) -> None:
    make_config()
    port = _free_port()
    seen: list[Any] = []

    def main(context: StageContext) -> StageResult:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/progress", timeout=5) as answer:
            seen.append(json.loads(answer.read()))
        return _succeed(context)

    assert run("prep", env=ENV, paths=agent_paths, port=port, main=main) == 0
    assert (seen[0]["phase"], seen[0]["podUID"]) == ("starting", ENV["POD_UID"])


def test_the_kubelet_gets_answers_until_the_verdict_is_written(
    make_config: Callable[..., AgentConfig], agent_paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_config()
    port = _free_port()
    seen: list[Any] = []

    def wait(probes: KubeletProbes) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/healthz", headers={"User-Agent": "kube-probe/1.35"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            seen.extend([answer.status, agent_paths.termination_log.exists()])
        until(lambda: probes._answered_at, what="the probe to be remembered", seconds=5)

    monkeypatch.setattr(KubeletProbes, "wait_until_none_is_due", wait)
    assert run("prep", env=ENV, paths=agent_paths, port=port, main=_succeed) == 0
    assert seen == [200, True]


def test_an_agent_that_is_stopped_waits_for_no_probe(
    make_config: Callable[..., AgentConfig], agent_paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its grace period is short, and the kubelet probes no pod that it ends."""
    make_config()
    monkeypatch.setattr(KubeletProbes, "wait_until_none_is_due", lambda _: pytest.fail("it waits"))

    def main(context: StageContext) -> StageResult:
        os.kill(os.getpid(), signal.SIGTERM)
        assert context.stop.wait(5)
        return _succeed(context)

    assert run("prep", env=ENV, paths=agent_paths, port=0, main=main) == 0
    assert run("mirror", env={}, paths=agent_paths, port=0, main=_succeed) == 0


@pytest.mark.parametrize("stage", ["prep", "train", "export"])
def test_a_stage_that_hangs_at_sigterm_leaves_a_verdict_within_its_grace_period(
    make_config: Callable[..., AgentConfig],
    agent_paths: Paths,
    contract: Callable[[str, Any], None],
    monkeypatch: pytest.MonkeyPatch,
    stage: Any,
) -> None:
    """It waits for a server that takes a request and gives no answer, and cannot be asked whether it may end."""
    monkeypatch.setattr(runner, "RESERVE_SECONDS", 29.9)  # of the 30 s without a setting
    answered, went_on = threading.Event(), threading.Event()

    def hang(context: StageContext) -> StageResult:
        context.record.claimed(4)
        context.record.numbers = {"step": 7} if stage == "train" else {}
        context.progress.update(phase="shipping")
        os.kill(os.getpid(), signal.SIGTERM)
        assert answered.wait(30)
        context.progress.current.reading("the next image")
        went_on.set()
        return StageResult(PREPARED, {"images": "2 images"})

    make_config(stage)
    assert run(stage, env=ENV, paths=agent_paths, port=0, main=hang) == 1
    answered.set()
    assert went_on.wait(30)
    verdict = json.loads(agent_paths.termination_log.read_bytes())
    contract("verdict", verdict)
    assert (verdict["outcome"], verdict["reason"]) == ("interrupted", "Interrupted")
    assert verdict["message"].startswith("SIGTERM arrived in phase shipping, and the agent could not end in time")
    assert (verdict["epoch"], verdict.get("numbers")) == (4, {"step": 7} if stage == "train" else None)


def _agent(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(PACKAGE), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, **ENV, "PYTHONPATH": path}
    command = [sys.executable, "-m", "trainingrun_agent", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


AT_IMPORT = """
import builtins, os, runpy, signal, sys
real = builtins.__import__
def stopping(name, *more, **named):
    if name == "trainingrun_agent.command":
        builtins.__import__ = real
        os.kill(os.getpid(), signal.SIGTERM)
    return real(name, *more, **named)
builtins.__import__ = stopping
runpy.run_module("trainingrun_agent", run_name="__main__", alter_sys=True)
"""


def test_sigterm_in_the_second_in_which_the_agent_starts_is_seen(
    make_config: Callable[..., AgentConfig], agent_paths: Paths, canned_server: Any
) -> None:
    """In a container a signal without a handler is dropped, and the pod that is to end works on."""
    canned_server.answers = [(503, "<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>")]
    make_config(endpoint=canned_server.endpoint)
    path = os.pathsep.join([str(PACKAGE), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", AT_IMPORT, "prep", "--port=0", *_flags(agent_paths)]
    environment = {**os.environ, **ENV, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert json.loads(agent_paths.termination_log.read_text())["outcome"] == "interrupted"


@pytest.mark.parametrize("stage", ["prep", "train", "export"])
def test_sigterm_is_noticed_while_compiled_code_waits_for_storage(
    make_config: Callable[..., AgentConfig], agent_paths: Paths, stage: Any
) -> None:
    """Python runs signal handlers in the main thread only, and not before such a call returns: after a minute."""

    def wait(context: StageContext) -> StageResult:
        assert threading.current_thread() is not threading.main_thread()
        return _send_sigterm(context)

    make_config(stage)
    assert run(stage, env=ENV, paths=agent_paths, port=0, main=wait) == 1
    assert json.loads(agent_paths.termination_log.read_bytes())["outcome"] == "interrupted"


LINGERING = """
import runpy, sys, threading
from concurrent.futures import ThreadPoolExecutor
from trainingrun_agent import command
def main():
    ThreadPoolExecutor().submit(threading.Event().wait)  # as a transfer that gets no answer
    print("the end")
    return 1
command.main = main
runpy.run_module("trainingrun_agent", run_name="__main__", alter_sys=True)
"""


def test_a_transfer_that_hangs_does_not_keep_an_agent_that_has_ended() -> None:
    """Until SIGKILL: the pod would keep its GPU, and end with another exit code."""
    path = os.pathsep.join([str(PACKAGE), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", LINGERING, "train"]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "the end\n"), done.stderr


def test_help_names_every_command() -> None:
    result = _agent("--help")
    assert result.returncode == 0
    for name in ("prep", "train", "export", "mirror"):
        assert f"    {name} " in result.stdout


def test_wrong_arguments_have_an_exit_code_of_their_own() -> None:
    assert _agent("cook").returncode == 2


def _flags(paths: Paths) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in vars(paths).items()]


def test_words_of_an_s3_server_show_no_credentials_and_attack_no_reader(
    make_config: Callable[..., AgentConfig], agent_paths: Paths, canned_server: Any
) -> None:
    values = [path.read_text().strip() for path in agent_paths.credentials.iterdir()]
    words = f"elsewhere {''.join(values)} \x9b31m \u202egpj\n2026-01-01T00:00:00Z INFO forged"  # all that XML allows
    answer = "<?xml version='1.0'?><Error><Code>{}</Code><Message>" + words + "</Message></Error>"
    canned_server.answers = [
        (503, answer.format("SlowDown")),
        (403, answer.format("SignatureDoesNotMatch")),
    ]
    make_config(endpoint=canned_server.endpoint)
    result = _agent("prep", "--port=0", *_flags(agent_paths))
    verdict = agent_paths.termination_log.read_text()
    assert result.returncode == 1
    assert json.loads(verdict)["reason"] == "InvalidCredentials"
    assert "storage does not answer, waiting: ServerError" in result.stdout
    printed = result.stdout + result.stderr + verdict
    for value in values:
        assert value not in printed
    assert printed.count("elsewhere") >= 2
    assert not DANGEROUS.search(printed.replace("\n", ""))
    assert "\n2026-01-01T" not in printed
