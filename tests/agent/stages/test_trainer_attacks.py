"""A trainer image of the user's choice tries to get the agent's credentials uploaded, or to make the agent wait.

The trainer is a real process beside a real stage; what it plants is in tests/fakes/hostile_trainer.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent_run import FAKE_TRAINER
from stage_verdict import verdict_of
from trainingrun_agent.errors import Outcome
from trainingrun_agent.stages import export, train
from trainingrun_agent.verdict import encode

pytestmark = pytest.mark.contract
HOSTILE_TRAINER = FAKE_TRAINER.with_name("hostile_trainer.py")
CANARY = "canary/Secret+of/the+agent"


@pytest.mark.parametrize(
    ("stage", "kind", "end"),
    [
        (train, "link", "claim"),
        (train, "link", "plant"),
        (train, "FIFO", "claim"),
        (train, "FIFO", "plant"),
        (train, "folder", "plant"),
        (train, "huge", "claim"),
        (export, "link", "claim"),
        (export, "FIFO", "claim"),
        (export, "huge", "claim"),
    ],
    ids=lambda value: getattr(value, "__name__", value).rpartition(".")[2],
)
def test_what_a_trainer_plants_is_neither_followed_nor_waited_for(
    prepared: Any, tmp_path: Path, stage: Any, kind: str, end: str
) -> None:
    secret = tmp_path / "credentials" / "AWS_SECRET_ACCESS_KEY"
    secret.write_text(CANARY)
    if stage is export:
        context = prepared.pod("train")
        prepared.start_trainer(context, seconds_per_step=0)
        assert verdict_of(train, context).outcome is Outcome.SUCCEEDED
    context = prepared.pod(stage.__name__.rpartition(".")[2])
    command = [sys.executable, str(HOSTILE_TRAINER), str(context.config.shared), str(secret), kind, end]
    attacker = subprocess.Popen(command)
    prepared.trainers.append(attacker)
    verdict = verdict_of(stage, context)

    assert attacker.wait(60) == 0
    assert verdict.outcome is not Outcome.SUCCEEDED
    assert CANARY.encode() not in encode(verdict)
    stored = {info.key: context.out.get(info.key, max_bytes=1 << 24) for info in context.out.list("")}
    assert [key for key, data in stored.items() if CANARY.encode() in data] == []
    own = f"{context.config.pod_uid[:8]}/"
    assert {key.rpartition("/")[2] for key in stored if own in key} <= {"last.json"}
