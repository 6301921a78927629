"""How long a trainer has trained, with a clock that the test controls."""

from __future__ import annotations

from typing import Any

import pytest

from trainingrun_agent.shared.trainer_documents import TrainerProgress
from trainingrun_agent.shared.training_time import TrainingTime

pytestmark = pytest.mark.contract


@pytest.mark.parametrize(
    ("reports", "seconds"),
    [
        pytest.param([("waiting", True), ("building", True)], None, id="no step yet"),
        pytest.param([("building", True), ("training", True)], 0, id="the first step"),
        pytest.param([("building", True), ("saving", True), *[("training", True)] * 4], 30, id="the save before it"),
        pytest.param(
            [("training", True), ("saving", True), ("evaluating", True)], 20, id="saves and evaluations count"
        ),
        pytest.param([("training", True), ("training", True), *[("training", False)] * 60], 10, id="a hang does not"),
        pytest.param([("training", True), ("training", False), ("training", True)], 20, id="a slow step does"),
    ],
)
def test_the_time_of_training(fake_clock: Any, reports: list[tuple[str, bool]], seconds: float | None) -> None:
    """The trainer reports every ten seconds, also when nothing has advanced."""
    time, advance = TrainingTime(fake_clock), 0.0
    time.observe(None)
    for phase, advances in reports:
        fake_clock.sleep(10)
        advance = fake_clock.monotonic() if advances else advance
        time.observe(TrainerProgress(phase=phase, updated=fake_clock.monotonic(), last_advance=advance))
    assert time.seconds == seconds
