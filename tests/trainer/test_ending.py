"""When training ends before its last step: at once, after a time, or never."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun_trainer.ending import EARLY_STOPPING, Ending

SPEC = {"steps": 100, "resumedFromStep": 0}


@pytest.mark.parametrize(
    ("spec", "last_step", "stopped_by"),
    [
        ({}, 100, None),
        ({"finish": False, "maxTrainingSeconds": None}, 100, None),
        ({"maxTrainingSeconds": 0.1}, 100, None),
        ({"finish": True}, 1, "finish"),
        ({"finish": True, "resumedFromStep": 40}, 40, "finish"),
        ({"maxTrainingSeconds": 0.0, "resumedFromStep": 40}, 40, "maxDuration"),
        ({"finish": True, "maxTrainingSeconds": 0.0}, 1, "finish"),
        ({"finish": True, "resumedFromStep": 100}, 100, None),
        ({"finish": True, "steps": 1}, 1, None),
    ],
    ids=[
        "an older agent",
        "nothing asked",
        "time left",
        "finish without a checkpoint",
        "finish at a checkpoint",
        "no time left",
        "finish comes first",
        "finish after the last step",
        "the only step",
    ],
)
def test_where_training_ends(spec: dict[str, Any], last_step: int, stopped_by: str | None) -> None:
    ending = Ending({**SPEC, **spec})
    assert (ending.last_step, ending.reported(ending.last_step)) == (last_step, stopped_by)


def test_time_counts_from_the_first_step() -> None:
    ending = Ending({**SPEC, "maxTrainingSeconds": 60})
    assert [ending.must_end(now) for now in (1000.0, 1059.9, 1060.0)] == [False, False, True]
    assert ending.reported(50) == "maxDuration"


def test_what_asks_first_is_reported() -> None:
    ending = Ending({**SPEC, "maxTrainingSeconds": 60})
    ending.stop(EARLY_STOPPING)
    assert ending.must_end(0.0)
    assert ending.must_end(100.0)
    assert ending.reported(50) == "earlyStopping"
