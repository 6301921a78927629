"""Fixtures: a folder to run the command line in, and an empty bucket to prepare from."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_shell import Shell
from prep_in_memory import Preparation
from voc_data import jpeg


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Three clean images in ./images; the folder is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    made = Shell(tmp_path, capsys)
    for index in range(3):
        made.add(f"images/t{index}", jpeg(seed=index))
    return made


@pytest.fixture
def prep(tmp_path: Path) -> Preparation:
    """Preparation from an empty bucket in memory."""
    scratch = tmp_path / "prep"
    scratch.mkdir()
    return Preparation(scratch)
