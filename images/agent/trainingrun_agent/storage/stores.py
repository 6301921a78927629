"""The stores of one container: one for each bucket, which share retries and progress.

Invariant: progress shows an outage of any store, and its end.
"""

from __future__ import annotations

import threading

from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import StorageRefused
from trainingrun_agent.log import logger
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.client import PATIENT_PREFLIGHT, PREFLIGHT, WORK, Limits
from trainingrun_agent.storage.retry import REFUSED_SECONDS, Failure, Retrier, RetryingStore
from trainingrun_agent.storage.s3 import open_store
from trainingrun_agent.terms import TRAININGRUN

SHIP_MARGIN_SECONDS = 10
"""Part of the grace period that is reserved for the verdict and the kubelet."""


_REFUSED_NOW = (
    "It worked before, so the pod goes on and tries again for {minutes:.0f} minutes."
    " A change of {credentials} reaches it within two minutes."
)


class Stores:
    """Opens each bucket once and returns the same store afterwards."""

    def __init__(self, config: AgentConfig, *, progress: Progress, stop: threading.Event, clock: Clock) -> None:
        self._config = config
        self._progress = progress
        self._clock = clock
        self._lock = threading.Lock()
        self._opened: dict[tuple[str, Limits], ObjectStore] = {}
        ships = config.stage in ("train", "export")
        self._retrier = Retrier(
            tolerance_seconds=config.resolved.storage.outage_tolerance_seconds,
            on_outage=self._show,
            stop=stop,
            after_stop_seconds=max(0, config.grace_seconds - SHIP_MARGIN_SECONDS) if ships else 0,
            clock=clock,
        )

    def open(self, bucket: str) -> ObjectStore:
        """The store of a bucket for the work of a stage."""
        return self._store(bucket, WORK, WORK)

    def open_quick(self, bucket: str) -> ObjectStore:
        """The store of a bucket for the preflight: time-outs of a few seconds until the first outage has been shown."""
        return self._store(bucket, PREFLIGHT, PATIENT_PREFLIGHT)

    def open_impatient(self, bucket: str) -> ObjectStore:
        """A store whose calls are made once, with time-outs of a few seconds."""
        return self._open(bucket, PREFLIGHT)

    def _store(self, bucket: str, first: Limits, then: Limits) -> ObjectStore:
        with self._lock:
            store = self._opened.get((bucket, first))
            if store is None:
                bare = self._open(bucket, first)
                patient = bare if then is first else self._open(bucket, then)
                store = self._opened[bucket, first] = RetryingStore(bare, self._retrier, patient=patient)
            return store

    def _open(self, bucket: str, limits: Limits) -> ObjectStore:
        count = self._progress.count_bytes
        return open_store(self._config, bucket, clock=self._clock, count=count, limits=limits)

    def _show(self, failure: Failure | None) -> None:
        if failure is None:
            logger.info("storage answers again")
            self._progress.storage(ready=True)
            return
        refused = isinstance(failure, StorageRefused)
        logger.warning("storage %s, waiting: %s", "refuses what it allowed" if refused else "does not answer", failure)
        next_step = TRAININGRUN.fill(_REFUSED_NOW, {"minutes": REFUSED_SECONDS / 60}) if refused else failure.hint
        self._progress.storage(ready=False, reason=failure.reason, message=f"{failure.message}. {next_step}")
