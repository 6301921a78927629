"""What every stage is given.

Invariant: a stage reaches storage, time and signals only through its context.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.progress import Progress
from trainingrun_agent.server import TrainerProbe
from trainingrun_agent.storage.base import ObjectStore, StoreFor


@dataclass(frozen=True)
class StageContext:
    """`stop` is set by SIGTERM; `store_for` opens a bucket, with patience for outages built in.

    `trainer_probe` is what /trainer-alive asks. `quick_store_for` opens a bucket for the preflight: the
    same, but a call that gets no answer is given up, and shown, within seconds.
    """

    config: AgentConfig
    store_for: StoreFor
    progress: Progress
    stop: threading.Event
    clock: Clock
    trainer_probe: TrainerProbe = field(default_factory=TrainerProbe)
    quick_store_for: StoreFor | None = None

    @property
    def out(self) -> ObjectStore:
        """The bucket of spec.storage, where everything is written."""
        return self.store_for(self.config.resolved.storage.bucket)
