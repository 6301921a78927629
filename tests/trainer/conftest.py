"""Fixtures: a shared folder with trainer processes; trainer modules that need no TensorFlow can be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trcluster.command import last_lines
from trcluster.waiting import until

TRAINER = Path(__file__).parents[2] / "images" / "trainer"
sys.path.insert(0, str(Path(__file__).parent))


class Shared:
    """A shared folder and the trainer processes started in it."""

    package = TRAINER

    def __init__(self, root: Path) -> None:
        self.root = root
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, command: str, *, python: str = sys.executable) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(TRAINER), "TF_PYTHONPATH": str(TRAINER)}
        process = subprocess.Popen(
            [python, "-m", "trainingrun_trainer", command, "--shared", str(self.root)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process

    def end_of(self, process: subprocess.Popen[str], *, seconds: float) -> tuple[int, str]:
        """Wait for the end of a process; returns its exit code and log."""
        try:
            log, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            log, _ = process.communicate()
            raise AssertionError(f"the trainer did not end within {seconds:.0f} s:\n{last_lines(log)}") from None
        return process.returncode, log

    def outcome_of(self, command: str, *, python: str, seconds: float) -> tuple[dict[str, Any], str]:
        """Run a command to its end; returns its done.json and its log."""
        (self.root / "done.json").unlink(missing_ok=True)
        code, log = self.end_of(self.start(command, python=python), seconds=seconds)
        assert (self.root / "done.json").exists(), f"exit code {code}, no done.json:\n{log}"
        done = self.read("done.json")
        assert code == (0 if done["outcome"] == "succeeded" else 1), log
        return done, log

    def read(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.root / name).read_text())
        return document

    def write(self, name: str, document: dict[str, Any]) -> None:
        scratch = self.root / f"{name}.scratch"
        scratch.write_text(json.dumps(document))
        scratch.rename(self.root / name)

    def wait_for(self, name: str, process: subprocess.Popen[str], *, seconds: float) -> None:
        def written() -> bool:
            if (self.root / name).exists():
                return True
            assert process.poll() is None, process.communicate()[0]
            return False

        until(written, what=f"{name} of the trainer", seconds=seconds, every=0.05)

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Shared]:
    folder = Shared(tmp_path)
    yield folder
    folder.close()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """A folder that the tests of one module share."""
    folder = Shared(tmp_path_factory.mktemp("first"))
    yield folder
    folder.close()
