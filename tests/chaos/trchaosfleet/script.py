"""What the pods of a run do, drawn from the seed: how each attempt of a stage ends that nothing disturbs."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any, Final

from trainingrun.api.names import Stage
from trchaos.rules.budgets import RETRIES
from trchaosfleet.seeding import seeded
from trfakes.fake_cluster import verdict

SUCCEEDED: Final = "succeeded"
INTERRUPTED: Final = "interrupted"
STEPS: Final = 150
_FATAL: Final = tuple(name for name, retries in RETRIES.items() if not retries)
_RETRIED: Final = tuple(name for name, retries in RETRIES.items() if retries)


def draw_outcomes(rng: random.Random) -> list[str]:
    """Draw the ends of a stage's attempts; further ones succeed."""
    chance = rng.random()
    if chance < 0.6:
        return []
    if chance < 0.85:
        kind = rng.choice(_RETRIED)
        return [kind] * rng.randint(1, min(2, RETRIES[kind]))
    if chance < 0.93:
        return [rng.choice(_FATAL)]
    kind = rng.choice(("stalled", "outOfMemory", "crash"))
    return [kind] * (RETRIES[kind] + 1)


@dataclass
class Script:
    """The ends that are still to come, by stage, and how far training is."""

    rng: random.Random
    ends: dict[Stage, list[str]] = field(default_factory=dict)
    step: int = 0

    @classmethod
    def draw(cls, seed: str) -> Script:
        """Draw the script of a run."""
        rng = seeded(seed)
        return cls(rng, {stage: draw_outcomes(rng) for stage in Stage})

    def next_end(self, stage: Stage) -> str:
        """Take the end of an attempt that nothing has disturbed."""
        ends = self.ends[stage]
        return ends.pop(0) if ends else SUCCEEDED

    def disturbed_end(self) -> str:
        """Draw the end of an attempt that gets SIGTERM: it may save its work, or be killed before it can."""
        return INTERRUPTED if self.rng.random() < 0.75 else ""

    def message(self, stage: Stage, outcome: str) -> str:
        """Termination message of the agent; empty without an outcome."""
        if not outcome:
            return ""
        fields: dict[str, Any] = {}
        if stage is Stage.TRAIN and outcome != SUCCEEDED:
            self.step = min(STEPS - 1, self.step + self.rng.randint(1, 9))
            fields["numbers"] = {"step": self.step, "steps": STEPS, "checkpointStep": self.step}
        return json.dumps(verdict(stage.value, outcome, **fields))
