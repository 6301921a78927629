"""What every stage, and the TensorBoard mirror, is given by the runner.

Invariant: a stage reaches storage, time and signals only through its context.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from trainingrun_agent.attempt_record import AttemptRecord
from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.base import ObjectStore, StoreFor
from trainingrun_agent.trainer_probe import TrainerProbe


@dataclass(frozen=True)
class StageContext:
    """`stop` is set by SIGTERM. `store_for` opens a bucket whose calls wait for the end of outages.

    `record` collects what goes into the verdict. `quick_store_for` opens a bucket for the preflight: a call that
    fails is explained at once. `trainer_probe` answers `/trainer-alive`.
    """

    config: AgentConfig
    store_for: StoreFor
    progress: Progress
    stop: threading.Event
    clock: Clock
    record: AttemptRecord
    trainer_probe: TrainerProbe = field(default_factory=TrainerProbe)
    quick_store_for: StoreFor | None = None

    @property
    def out(self) -> ObjectStore:
        """The bucket of spec.storage, to which everything is written."""
        return self.store_for(self.config.resolved.storage.bucket)
