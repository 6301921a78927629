"""Seeded kills and network faults while real pods train in TensorFlow: `make chaos-node`.

Two lanes of runs go on at the same time, so that the loss of something shared hits both. CHAOS_SEED repeats a plan,
CHAOS_FAULTS is their number, CHAOS_ONLY names kinds, as "agent killed" or "agent killed in prep", separated by commas.
"""

from __future__ import annotations

import os
import time
from random import SystemRandom

import pytest

from trchaosnode import plan as plans
from trchaosnode.chaos import Chaos
from trchaosnode.kinds import chosen
from trchaosnode.runs import with_tensorflow
from trchaosnode.table import table
from trchaosnode.world import World
from trdemo.faults import Faults
from trdemo.installation import Installation

pytestmark = pytest.mark.long


def test_every_run_survives_its_faults(
    installation: Installation, faults: Faults, capfd: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or SystemRandom().randrange(10_000))
    count = int(os.environ.get("CHAOS_FAULTS") or plans.FAULTS)
    only = os.environ.get("CHAOS_ONLY", "")
    plan = plans.make(seed, faults=count, cards=chosen(only))
    replay = f"make chaos-node SEED={seed} FAULTS={count}" + (f' ONLY="{only}"' if only else "")
    began = time.monotonic()

    def echo(text: str) -> None:
        with capfd.disabled():
            print(f"{time.monotonic() - began:5.0f} s  {text}", flush=True)

    echo(f"{len(plan.faults)} faults; to repeat: {replay}")
    chaos = Chaos(World(faults, echo), plan, with_tensorflow(installation.bucket))
    chaos.go()
    echo(f"operator: {faults.operator_restarts()}")
    with capfd.disabled():
        print(f"\n{table(chaos.outcomes)}\n", flush=True)
    assert not chaos.errors, f"to repeat: {replay}\n" + "\n\n".join(chaos.errors)
    assert len(chaos.outcomes) == len(plan.faults)
