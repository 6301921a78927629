"""What the trainer prints reaches its container's log and the shared folder, however it ends, and no signal is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from trcluster.waiting import until

PATIENCE = 120.0
MOST = (4 << 20) + (64 << 10)
TRAINER = Path(__file__).parents[2] / "images" / "trainer"
RUN = """
import os, signal, subprocess, sys, time
from trainingrun_trainer import log_copy
from trainingrun_trainer.shared_folder import SharedFolder
def work():
{work}
sys.exit(log_copy.run(work, SharedFolder(sys.argv[1])))
"""


def start(program: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-u", "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(TRAINER)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def program(work: str) -> str:
    return RUN.format(work=textwrap.indent(textwrap.dedent(work).strip(), "    "))


def ended(work: str, folder: Path) -> tuple[int, bytes, bytes]:
    """Do the work; returns the exit code, the container's log, and its copy."""
    process = start(program(work), folder)
    printed, _ = process.communicate(timeout=PATIENCE)
    parts = [folder / name for name in ("trainer.log.1", "trainer.log")]
    return process.returncode, printed, b"".join(part.read_bytes() for part in parts if part.exists())


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("return 0", 0),
        ("return 3", 3),
        ("os.abort()", 128 + signal.SIGABRT),
        ("os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL),
    ],
    ids=["success", "failure", "abort in C++", "kill -9"],
)
def test_the_last_line_before_any_end_is_in_both_logs(tmp_path: Path, end: str, code: int) -> None:
    work = f"""
    print("by Python")
    os.write(2, b"F tensorflow/core.cc:7] Check failed")  # as C++ does: no Python, no newline
    {end}
    """
    assert ended(work, tmp_path) == (code, *[b"by Python\nF tensorflow/core.cc:7] Check failed"] * 2)


def test_an_error_of_the_wrapper_itself_is_in_both_logs(tmp_path: Path) -> None:
    code, printed, copied = ended("raise OSError('done.json cannot be written')", tmp_path)
    assert (code, printed) == (1, copied)
    assert printed.endswith(b"OSError: done.json cannot be written\n")


def test_the_copy_is_bounded_and_the_log_whole(tmp_path: Path) -> None:
    work = """
    line = b"x" * 1023 + b"\\n"
    for _ in range(10 << 10):
        os.write(1, line)
    os.write(1, b"the last line\\n")
    return 0
    """
    code, printed, copied = ended(work, tmp_path)
    assert (code, len(printed)) == (0, (10 << 20) + 14)
    assert 4 << 20 <= len(copied) <= 2 * MOST
    assert printed.endswith(copied)
    assert all(part.stat().st_size <= MOST for part in tmp_path.iterdir())


def test_a_process_that_the_trainer_leaves_behind_does_not_keep_the_container(tmp_path: Path) -> None:
    work = """
    child = subprocess.Popen(["sleep", "600"])
    print(child.pid)
    return 0
    """
    with start(program(work), tmp_path) as process:
        assert process.stdout is not None
        left = int(process.stdout.readline())
        assert process.wait(timeout=PATIENCE) == 0
        os.kill(left, signal.SIGKILL)


def test_a_folder_that_cannot_be_written_costs_only_the_copy(tmp_path: Path) -> None:
    assert ended("print('on')\nreturn 0", tmp_path / "missing") == (0, b"on\n", b"")


def test_nothing_outlives_the_first_process(tmp_path: Path) -> None:
    with start(program("print(os.getpid())\ntime.sleep(600)"), tmp_path) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
    until(lambda: not is_alive(child), what="the end of the child", seconds=PATIENCE, every=0.01)


def is_alive(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


AT_IMPORT = """
import builtins, os, runpy, signal, sys
real = builtins.__import__
def stopping(name, *more, **named):
    if name == {module!r}:
        builtins.__import__ = real
        os.kill(os.getpid(), signal.SIGTERM)
    return real(name, *more, **named)
builtins.__import__ = stopping
sys.argv = ["trainer", "train", "--shared", {shared!r}]
runpy.run_module("trainingrun_trainer", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("module", ["trainingrun_trainer.wrapper", "argparse", "ctypes"])
def test_sigterm_in_the_second_in_which_the_trainer_starts_is_seen(shared: Any, module: str) -> None:
    """In a container a signal without a handler is dropped, and the pod that is to end trains on."""
    process = start(AT_IMPORT.format(module=module, shared=str(shared.root)))
    log, _ = process.communicate(timeout=PATIENCE)
    assert (shared.root / "done.json").exists(), log.decode()
    assert (process.returncode, shared.read("done.json")["outcome"]) == (1, "interrupted")
