"""When the trainer started and when it is gone, however it died.

Invariant: `gone` is set only after `started`, and only once this process holds the lock that the trainer
held for its whole life. The trainer takes the lock before it creates `trainer.started`, so a lock that is
free once that file exists means that nobody trains any more.
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
    """Watches the trainer from a thread of its own, which ends with the process or with the trainer."""

    def __init__(self, folder: Folder) -> None:
        self.started = threading.Event()
        self.gone = threading.Event()
        self._folder = folder
        self._given_up = threading.Event()

    def watch(self) -> None:
        """Begin to watch."""
        # A handle of its own: the thread may outlive the stage that began it.
        folder = self._folder.walk()
        threading.Thread(target=self._run, args=(folder,), name="trainer-lock", daemon=True).start()

    def give_up(self) -> None:
        """Stop looking for a trainer that has not started."""
        self._given_up.set()

    def _run(self, folder: Folder) -> None:
        with folder:
            while not folder.has(names.STARTED):
                if self._given_up.wait(POLL_SECONDS):
                    return
            self.started.set()
            _wait_for_end(folder)
            self.gone.set()


def _wait_for_end(folder: Folder) -> None:
    try:
        with folder.reading(names.LOCK, max_bytes=1 << 20) as (file, _):
            fcntl.flock(file, fcntl.LOCK_EX)
    except (UnsafeFileError, OSError) as error:
        # A trainer that left no lock to wait for is not one that can be followed.
        _log.warning("%s cannot be taken, so the trainer counts as gone: %s", names.LOCK, error)
