"""Notices when the trainer has started and when it is gone, however it died.

Invariant: `gone` is set only after `started`, and only once this process holds the lock that the trainer held for its
whole life. The trainer takes the lock before it creates `trainer.started`; if the file exists and the lock is free, no
trainer runs any more.
"""

from __future__ import annotations

import fcntl
import logging
import threading

from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder, UnsafeFileError

POLL_SECONDS = 0.05

_log = logging.getLogger(__name__)


class TrainerLock:
    """Watches the trainer from its own thread, which ends with the process or with the trainer."""

    def __init__(self, folder: Folder) -> None:
        self.started = threading.Event()
        self.gone = threading.Event()
        self._folder = folder
        self._stopped_waiting = threading.Event()

    def watch(self) -> None:
        """Start watching."""
        # Its own handle: the thread may outlive the stage.
        folder = self._folder.walk()
        threading.Thread(target=self._run, args=(folder,), name="trainer-lock", daemon=True).start()

    def stop_waiting(self) -> None:
        """Stop waiting for a trainer that has not started."""
        self._stopped_waiting.set()

    def _run(self, folder: Folder) -> None:
        with folder:
            while not folder.has(names.STARTED):
                if self._stopped_waiting.wait(POLL_SECONDS):
                    return
            self.started.set()
            _wait_for_end(folder)
            self.gone.set()


def _wait_for_end(folder: Folder) -> None:
    try:
        with folder.reading(names.LOCK, max_bytes=1 << 20) as (file, _):
            fcntl.flock(file, fcntl.LOCK_EX)
    except (UnsafeFileError, OSError) as error:
        # Without a lock there is nothing to wait for.
        _log.warning("%s cannot be locked, so the trainer counts as gone: %s", names.LOCK, error)
