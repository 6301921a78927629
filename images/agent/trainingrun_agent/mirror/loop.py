"""The mirror's life: list, copy, wait, until SIGTERM.

Invariant: while nothing happens it makes one request every ten seconds; an outage or a refusal is logged
once and waited out, because TensorBoard goes on serving what is there.
"""

from __future__ import annotations

import logging

from trainingrun_agent.context import StageContext
from trainingrun_agent.errors import StageError
from trainingrun_agent.keys import EVENT_FOLDERS
from trainingrun_agent.mirror.copy import copy_new
from trainingrun_agent.mirror.listing import EventListing
from trainingrun_agent.reasons.pods import STOPPED
from trainingrun_agent.shared import names
from trainingrun_agent.shared.folder import Folder
from trainingrun_agent.verdict import StageResult

BUSY_SECONDS = 5.0
IDLE_SECONDS = 10.0
BUSY_TURNS = 6
"""Turns without news before it counts as idle."""
TROUBLE_SECONDS = 30.0

_log = logging.getLogger(__name__)


def run(context: StageContext) -> StageResult:
    """Mirror until SIGTERM."""
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
    """One turn at a time."""

    def __init__(self, context: StageContext, logs: Folder) -> None:
        self._context, self._logs = context, logs
        self._listing = EventListing(context.out, context.config.resolved.run_keys)
        self._quiet_turns = 0
        self._trouble = ""

    def turn(self) -> float:
        """Copy what is new; returns the seconds to wait before the next turn."""
        try:
            news = self._copy()
        except StageError as error:
            self._note(str(error))
            return TROUBLE_SECONDS
        self._note("")
        self._quiet_turns = 0 if news else self._quiet_turns + 1
        return BUSY_SECONDS if self._quiet_turns < BUSY_TURNS else IDLE_SECONDS

    def _copy(self) -> bool:
        now = self._context.clock.monotonic
        epochs = copy_new(self._context.out, self._logs, self._listing.chunks(now()))
        self._listing.copied(epochs, now())
        return bool(epochs)

    def _note(self, trouble: str) -> None:
        if trouble and not self._trouble:
            _log.warning("event files are not copied for now: %s", trouble)
        elif self._trouble and not trouble:
            _log.info("event files are copied again")
        self._trouble = trouble
