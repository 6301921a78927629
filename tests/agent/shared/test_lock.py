"""When a trainer counts as started, and as gone."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.shared.lock import TrainerLock
from trcluster.waiting import patience, until

pytestmark = pytest.mark.contract
WRAPPER = """
import fcntl, pathlib, sys, time
root = pathlib.Path(sys.argv[1])
lock = open(root / "trainer.lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
(root / "trainer.started").touch()
if len(sys.argv) > 2:
    import subprocess
    # Like a helper process of a native library: it must not keep the lock.
    subprocess.Popen(["sleep", "30"])
    (root / "child.started").touch()
time.sleep(60)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", WRAPPER, str(tmp_path), *arguments])
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
def test_trainer_is_gone_within_a_second_of_its_death(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]], number: signal.Signals
) -> None:
    with Folder.open(tmp_path) as folder:
        lock = TrainerLock(folder)
        lock.watch()
        trainer = start()
        assert lock.started.wait(60)
        assert not lock.gone.is_set()
        trainer.send_signal(number)
        trainer.wait()
        died = time.monotonic()
        assert lock.gone.wait(60)
        assert time.monotonic() - died < patience(1)


def test_children_of_the_trainer_do_not_keep_it_alive(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    with Folder.open(tmp_path) as folder:
        lock = TrainerLock(folder)
        lock.watch()
        trainer = start("child")
        assert lock.started.wait(60)
        until((tmp_path / "child.started").exists, what="the trainer's child", seconds=60, every=0.02)
        trainer.kill()
        assert lock.gone.wait(20)  # while the child still sleeps


def test_a_lock_file_alone_means_neither_started_nor_gone(tmp_path: Path) -> None:
    (tmp_path / "trainer.lock").touch()
    with Folder.open(tmp_path) as folder:
        lock = TrainerLock(folder)
        lock.watch()
        assert not lock.gone.wait(0.3)
        assert not lock.started.is_set()
        lock.stop_waiting()
        assert not lock.gone.wait(0.2)


def test_started_without_a_lock_is_a_trainer_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "trainer.started").touch()
    (tmp_path / "trainer.lock").symlink_to("/etc/passwd")
    with Folder.open(tmp_path) as folder:
        lock = TrainerLock(folder)
        lock.watch()
        assert lock.gone.wait(60)
