"""Uploads the logs of an attempt when it ends, so that they outlive its pod.

Invariant: best effort: it changes nothing about how the attempt ended, and takes a few seconds at most, also when
storage does not answer. What is uploaded has passed the gate of outgoing.py.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from trainingrun_agent.config import AgentConfig
from trainingrun_agent.contract import Stage
from trainingrun_agent.errors import StageError
from trainingrun_agent.log import RECENT
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.shared.trainer_log import plain_log, read_log
from trainingrun_agent.storage import guard
from trainingrun_agent.storage.base import ObjectStore
from trainingrun_agent.terms import TRAININGRUN

MAX_BYTES = 4 << 20
"""Of each log, its end."""
SECONDS = 5.0
WORKERS: Mapping[Stage, str] = {"train": "trainer", "export": "exporter"}
"""Containers whose log is in the shared folder."""

_log = logging.getLogger(__name__)


def ship_logs(config: AgentConfig, open_store: Callable[[], ObjectStore]) -> str:
    """Upload the logs; returns the address of the folder with those of all attempts, empty if nothing was uploaded.

    `open_store` opens a store whose calls do not wait for the end of an outage.
    """
    found: list[str] = []
    # A daemon, because a server that answers byte by byte would hold up the verdict.
    thread = threading.Thread(target=_ship, args=(config, open_store, found), name="ship-logs", daemon=True)
    thread.start()
    thread.join(SECONDS)
    if thread.is_alive():
        _log.warning("the logs were not uploaded within %.0f s", SECONDS)
    return found[0] if found else ""


def _ship(config: AgentConfig, open_store: Callable[[], ObjectStore], found: list[str]) -> None:
    run = config.resolved.run_keys
    with guard.refuse_connections(config.resolved.storage.refused_networks):
        try:
            store = open_store()
            for container, data in _logs(config).items():
                if data:
                    key = run.log(config.stage, container, attempt=config.attempt, pod_uid=config.pod_uid)
                    store.put(key, data)
                    found.append(f"{TRAININGRUN.place(store.bucket, run.logs)}/")
        except (StageError, OSError) as error:
            _log.warning("the logs were not uploaded: %s", error)


def _logs(config: AgentConfig) -> dict[str, bytes]:
    """By container; that of the worker first, because it is missed more."""
    logs: dict[str, bytes] = {}
    worker = next((name for stage, name in WORKERS.items() if stage == config.stage), None)
    if worker is not None:
        with Folder.open(config.shared) as folder:
            logs[worker] = read_log(folder, max_bytes=MAX_BYTES)
    return logs | {"agent": plain_log(RECENT.text().encode("utf-8", "replace"), max_bytes=MAX_BYTES)}
