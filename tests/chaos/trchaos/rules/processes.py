"""Operators: none exits by itself or logs an exception, and none keeps what it knew of runs that are gone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from trchaos.rules.rule import Rule

if TYPE_CHECKING:
    from trchaos.process import Process
    from trchaos.rules.rule import Scene

LOGGERS: Final = ("trainingrun", "asyncio")
TABLES: Final = ("runs", "phases", "jobs", "pods", "progress", "hints", "lost_boards")  # of the cache


def log_errors_only() -> None:
    """Let operators log nothing in this process but errors, which are violations: words alone take time."""
    logging.disable(logging.WARNING)


class Processes(Rule):
    """What operators say and keep."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._log = _Log(scene)
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self._log)

    def close(self) -> None:
        """Look at the log no longer; all of the execution is over."""
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self._log)
        for process in self.scene.world.processes:
            if process.exited:
                self.scene.broken("no operator exits by itself", process.name, "")

    def keeps_nothing(self, process: Process) -> None:
        """Check that an operator has forgotten all runs; all of them are gone."""
        for name, what in _kept(process.operator).items():
            if what:
                self.scene.broken("what is gone is forgotten", process.name, f"{name} holds {str(what)[:200]}")


def _kept(operator: Any) -> dict[str, Any]:
    """Everything in an operator that is about runs."""
    cache, queue, reconciler, puller = operator.cache, operator.queue, operator._reconciler, operator._puller
    found = {f"cache.{name}": getattr(cache, name) for name in TABLES}
    found |= {f"crowds.{name}": value for name, value in vars(cache.crowds).items()}
    found |= {
        f"queue.{name}": _without_heartbeat(vars(queue)[name]) for name in ("_timers", "_failures", "_held_until")
    }
    if reconciler is not None and puller is not None:
        found |= {"memories": vars(vars(reconciler)["_memories"])["_by_key"], "puller": vars(puller)["_tasks"]}
    return found


def _without_heartbeat(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key}


class _Log(logging.Handler):
    """Notes each error that is logged as a violation."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(logging.ERROR)
        self._scene = scene

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        text = record.getMessage() + (f": {type(cause).__name__}: {cause}" if cause is not None else "")
        self._scene.broken("no unexpected error", record.name, text)
