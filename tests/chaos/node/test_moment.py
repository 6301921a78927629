"""What a trainer has saved at the moment of a fault bounds what the fault may cost."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from trchaosnode import moment
from trchaosnode.kinds import Loss
from trchaosnode.moment import UPLOAD_SECONDS, Checkpoint, Moment

SEEN = Moment(57, (Checkpoint(20, 30.0), Checkpoint(40, 1.0)), uploaded=20)


@pytest.mark.parametrize(("loss", "step"), [(Loss.NONE, 57), (Loss.INTERVAL, 40), (Loss.UPLOAD, 20)])
def test_the_least_step_to_resume_from(loss: Loss, step: int) -> None:
    assert SEEN.least(loss) == step


def test_a_checkpoint_that_had_the_time_for_its_upload_must_be_in_the_bucket() -> None:
    seen = Moment(57, (Checkpoint(20, 30.0), Checkpoint(40, UPLOAD_SECONDS)), uploaded=20)
    assert seen.least(Loss.UPLOAD) == 40


@pytest.mark.parametrize("loss", [Loss.INTERVAL, Loss.UPLOAD])
def test_what_is_in_the_bucket_counts_where_the_trainer_has_saved_nothing_yet(loss: Loss) -> None:
    assert Moment(57, (), uploaded=40).least(loss) == 40


def test_the_shared_folder_is_read_through_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "proc" / "1" / "root" / "shared"
    (shared / "ready").mkdir(parents=True)
    (shared / "progress.json").write_text(json.dumps({"step": 45}))
    for step, age in ((40, 2.0), (20, 12.0)):
        path = shared / "ready" / f"{step:08d}.json"
        path.write_text("{}")
        os.utime(path, (time.time() - age,) * 2)
    monkeypatch.setattr(moment, "PROC", tmp_path / "proc")
    seen = moment.read(1, uploaded=20)
    assert (seen.step, seen.newest, seen.uploaded) == (45, 40, 20)
    assert [each.step for each in seen.ready] == [20, 40]
    assert [each.age for each in seen.ready] == pytest.approx([12, 2], abs=1)
