"""The mirror's loop: list, copy, wait, until SIGTERM.

Invariant: an idle mirror makes one request every ten seconds. A storage error is logged once and waited out, because
TensorBoard keeps serving the local files.
"""

from __future__ import annotations

import logging

from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import StageError
from trainingrun_agent.keys import EVENT_FOLDERS
from trainingrun_agent.mirror.copy import copy_new
from trainingrun_agent.mirror.event_listing import EventListing
from trainingrun_agent.reasons.pods import STOPPED
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.verdict import StageResult

BUSY_SECONDS = 5.0
IDLE_SECONDS = 10.0
BUSY_TURNS = 6
"""Turns without new bytes after which the mirror is idle."""
ERROR_SECONDS = 30.0

_log = logging.getLogger(__name__)


def run(context: StageContext) -> StageResult:
    """Keep the copy up to date until SIGTERM."""
    with (
        Folder.open(context.config.shared) as shared,
        shared.sub(names.LOGS, create=True) as logs,
    ):
        for folder in EVENT_FOLDERS:
            logs.sub(folder, create=True).close()
        mirror = Mirror(context, logs)
        while not context.stop.is_set():
            context.clock.wait(context.stop, mirror.turn())
    return StageResult(STOPPED)


class Mirror:
    """The state of the loop between turns."""

    def __init__(self, context: StageContext, logs: Folder) -> None:
        self._context, self._logs = context, logs
        self._listing = EventListing(context.out, context.config.resolved.run_keys)
        self._quiet_turns = 0
        self._error = ""

    def turn(self) -> float:
        """Copy new bytes; returns the seconds to wait before the next turn."""
        try:
            has_new = self._copy()
        except StageError as problem:
            self._log_change(str(problem))
            return ERROR_SECONDS
        self._log_change("")
        self._quiet_turns = 0 if has_new else self._quiet_turns + 1
        return BUSY_SECONDS if self._quiet_turns < BUSY_TURNS else IDLE_SECONDS

    def _copy(self) -> bool:
        now = self._context.clock.monotonic
        epochs = copy_new(self._context.out, self._logs, self._listing.chunks(now()))
        self._listing.copied(epochs, now())
        return bool(epochs)

    def _log_change(self, error: str) -> None:
        if error and not self._error:
            _log.warning("event files are not copied for now: %s", error)
        elif self._error and not error:
            _log.info("event files are copied again")
        self._error = error
