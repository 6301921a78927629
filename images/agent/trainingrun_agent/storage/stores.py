"""The stores of one container: one for each bucket, which share retries and progress.

Invariant: progress shows an outage of any store, and its end.
"""

from __future__ import annotations

import threading
from functools import partial

from trainingrun_agent.clock import Clock
from trainingrun_agent.config import AgentConfig
from trainingrun_agent.errors import StageError, StorageRefused
from trainingrun_agent.log import logger
from trainingrun_agent.progress import Progress
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.storage.client import HEARTBEAT, PREFLIGHT, WORK, Limits
from trainingrun_agent.storage.health import StorageHealth
from trainingrun_agent.storage.heartbeat import Heartbeat
from trainingrun_agent.storage.retry import REFUSED_SECONDS, Retrier, RetryingStore
from trainingrun_agent.storage.s3 import open_store
from trainingrun_agent.storage.server_traits import ServerTraits
from trainingrun_agent.storage.web_identity import credentials_of
from trainingrun_agent.terms import TRAININGRUN

SHIP_MARGIN_SECONDS = 10
"""Part of the grace period that is reserved for the verdict and the kubelet."""


MAX_SHOWN = 360
"""Characters of the condition StorageReady. The next step is at the end, so what went wrong is cut off in its place."""
LEAST_CAUSE = 60
MAX_PLACE = 100
"""Characters of one key or address in a text that is too long: what the server answered comes behind, and stays."""
_REFUSED_NOW = "It worked before, so the pod goes on and tries again for {minutes:.0f} minutes."
_CHANGES_ARRIVE = " A change of {credentials} reaches it within two minutes."


class Stores:
    """Opens each bucket once and returns the same store afterwards."""

    def __init__(self, config: AgentConfig, *, progress: Progress, stop: threading.Event, clock: Clock) -> None:
        self._config = config
        self._progress = progress
        self._clock = clock
        self._credentials = credentials_of(config, clock=clock)
        self._lock = threading.Lock()
        self._opened: dict[tuple[str, Limits], ObjectStore] = {}
        self._bare: dict[tuple[str, Limits], ObjectStore] = {}
        self._traits: dict[str, ServerTraits] = {}
        self._health = StorageHealth(self._show, clock=clock)
        ships = config.stage in ("train", "export")
        self._retrier = Retrier(
            tolerance_seconds=config.resolved.storage.outage_tolerance_seconds,
            health=self._health,
            stop=stop,
            after_stop_seconds=max(0, config.grace_seconds - SHIP_MARGIN_SECONDS) if ships else 0,
            clock=clock,
        )

    def open(self, bucket: str) -> ObjectStore:
        """The store of a bucket for the work of a stage."""
        return self._store(bucket, WORK)

    def open_quick(self, bucket: str) -> ObjectStore:
        """The store of a bucket for the preflight: a call that fails is explained at once."""
        return self._store(bucket, PREFLIGHT)

    def open_impatient(self, bucket: str) -> ObjectStore:
        """A store whose calls are made once, with time-outs of a few seconds."""
        return self._bare_store(bucket, PREFLIGHT)

    def heartbeat(self) -> Heartbeat:
        """Ask the bucket of spec.storage for a byte while nothing else does."""
        resolved = self._config.resolved
        bucket = resolved.storage.bucket
        return Heartbeat(
            resolved.run_keys.description,
            quick=partial(self._bare_store, bucket, HEARTBEAT),
            patient=partial(self._bare_store, bucket, WORK),
            health=self._health,
            clock=self._clock,
        )

    def _store(self, bucket: str, limits: Limits) -> ObjectStore:
        bare = self._bare_store(bucket, limits)
        with self._lock:
            store = self._opened.get((bucket, limits)) or RetryingStore(bare, self._retrier)
            self._opened[bucket, limits] = store
            return store

    def _bare_store(self, bucket: str, limits: Limits) -> ObjectStore:
        """The store whose calls wait for nothing."""
        with self._lock:
            store = self._bare.get((bucket, limits))
            if store is None:
                count = self._progress.count_bytes
                store = open_store(
                    self._config,
                    bucket,
                    clock=self._clock,
                    count=count,
                    limits=limits,
                    credentials=self._credentials,
                    traits=self._traits.setdefault(bucket, ServerTraits()),
                )
                self._bare[bucket, limits] = store
            return store

    def _show(self, error: StageError | None) -> None:
        if error is None:
            logger.info("storage answers again")
            self._progress.storage_answers()
            return
        refused = isinstance(error, StorageRefused)
        logger.warning("storage %s, waiting: %s", "refuses what it allowed" if refused else "does not answer", error)
        keyless = self._config.resolved.storage.web_identity is not None
        waits = _REFUSED_NOW if keyless else _REFUSED_NOW + _CHANGES_ARRIVE
        next_step = TRAININGRUN.fill(waits, {"minutes": REFUSED_SECONDS / 60}) if refused else error.hint
        self._progress.storage_fails(reason=error.reason, message=_fitting(error.message, next_step))


def _fitting(cause: str, next_step: str) -> str:
    """Cause and next step as one text, with the next step whole."""
    room = max(LEAST_CAUSE, MAX_SHOWN - len(next_step) - 2)
    cause = cause.rstrip(".")
    if len(cause) > room:
        cause = " ".join(map(_short_place, cause.split(" ")))
    return f"{cause}. {next_step}" if len(cause) <= room else f"{cause[:room]}… {next_step}"


def _short_place(word: str) -> str:
    """A long key or address without its middle: it begins with the bucket and ends with the file."""
    kept = MAX_PLACE // 2
    return word if len(word) <= MAX_PLACE or "://" not in word else f"{word[:kept]}…{word[-kept:]}"
