"""Three seeded faults while a run trains, with the stand-in for TensorFlow; `make chaos-node` has all kinds."""

from __future__ import annotations

import os

import pytest

from trchaosnode import plan as plans
from trchaosnode.chaos import Chaos
from trchaosnode.kinds import QUICK
from trchaosnode.runs import with_stand_in
from trchaosnode.world import World
from trdemo.faults import Faults
from trdemo.installation import Installation

pytestmark = pytest.mark.node

SEED = 1


def test_a_run_survives_three_faults(installation: Installation, faults: Faults, stand_in: str) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or SEED)
    plan = plans.make(seed, faults=3, lanes=1, cards=QUICK)
    chaos = Chaos(World(faults, print), plan, with_stand_in(installation.bucket, stand_in))
    chaos.go()
    assert not chaos.errors, f"CHAOS_SEED={seed}: " + "\n\n".join(chaos.errors)
    assert len(chaos.outcomes) == 3
