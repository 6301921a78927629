"""A container that gets no work is told so, also on a disk that the download has filled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainingrun_agent.errors import DiskFull
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.transfer.spec import refuse_work


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shared folder whose disk is full while there is a data set in it."""
    write = Folder.write

    def refused(folder: Folder, name: str, data: bytes) -> None:
        if list((tmp_path / "dataset").glob("*")) or (tmp_path / "other").exists():
            raise DiskFull(what=name)
        write(folder, name, data)

    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "train.tfrecord").write_bytes(b"x")
    monkeypatch.setattr(Folder, "write", refused)
    return tmp_path


def test_the_data_set_makes_room_for_the_refusal(full: Path) -> None:
    with Folder.open(full) as folder:
        refuse_work(folder, reason="DiskFull", message="no space")
    assert json.loads((full / "fetch-failed.json").read_text())["reason"] == "DiskFull"


def test_a_refusal_without_room_hides_no_other_error(full: Path) -> None:
    (full / "other").write_bytes(b"of another program")
    with Folder.open(full) as folder:
        refuse_work(folder, reason="ClassNotFound", message="no class")
    assert not (full / "fetch-failed.json").exists()
