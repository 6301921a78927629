"""Show the progress of a run, one line per stage, and the table of its timings."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from trcluster.command import CommandError
from trcluster.waiting import until
from trdemo.shell import Kubectl

STAGES: Final = ("prep", "train", "export")
COLUMNS: Final = ("waiting", "image", "fetch", "work", "ship", "total")


class StatusLine:
    """One line of progress: overwritten in place on a terminal, a new line per change in a log."""

    def __init__(self) -> None:
        self._last = ""
        self._live = sys.stdout.isatty()
        self._started = time.monotonic()

    def show(self, text: str) -> None:
        """Print the current state after the seconds since the start."""
        elapsed = f"{time.monotonic() - self._started:5.0f} s  "
        if self._live:
            sys.stdout.write(f"\r\033[K{elapsed}{text}")
        elif text != self._last:
            sys.stdout.write(f"{elapsed}{text}\n")
        sys.stdout.flush()
        self._last = text

    def close(self) -> None:
        """Keep the line and start a new one."""
        if self._live and self._last:
            sys.stdout.write("\n")
        self._last = ""


def follow(kubectl: Kubectl, *, namespace: str, name: str, timeout: float) -> dict[str, Any]:
    """Print progress until the run has finished; returns the TrainingRun."""
    line, stage = StatusLine(), ""

    def finished() -> dict[str, Any] | None:
        nonlocal stage
        run = kubectl.get("trainingrun", name, namespace=namespace)
        status = run.get("status", {})
        progress = status.get("progress", {})
        if progress.get("stage", stage) != stage:
            line.close()
            stage = progress["stage"]
        line.show(_describe(status))
        return run if condition(status, "Finished") == "True" else None

    what = f"the end of the run (kubectl -n {namespace} describe trainingrun {name})"
    try:
        run = until(finished, what=what, seconds=timeout, every=1, not_yet=(CommandError,))
    finally:
        line.close()
    assert run is not None
    return run


def condition(status: Mapping[str, Any], kind: str) -> str:
    """Status of a condition: True, False or Unknown; empty when the run does not have it."""
    return next((str(c["status"]) for c in status.get("conditions", ()) if c["type"] == kind), "")


def _describe(status: Mapping[str, Any]) -> str:
    progress, training = status.get("progress", {}), status.get("training", {})
    parts = [progress.get("text") or status.get("phase") or "Pending"]
    if progress.get("stage") == "train" and training.get("loss"):
        parts.append(f"loss {training['loss']}")
        parts += [f"AP@.5 {training['ap50']}"] if training.get("ap50") else []
    if progress.get("eta"):
        parts.append(f"{progress['eta']} left")
    return ", ".join(parts)


def table(status: Mapping[str, Any]) -> str:
    """Format a table of seconds per stage and activity; a dash where a stage has no such activity."""
    rows = [f"{'seconds':10}" + "".join(f"{column:>9}" for column in COLUMNS)]
    timings = {entry["stage"]: entry for entry in status.get("timings", ())}
    for stage in STAGES:
        entry = timings.get(stage, {})
        cells = [entry.get(f"{column}Seconds") for column in COLUMNS]
        rows.append(f"{stage:10}" + "".join(f"{'-' if cell is None else f'{cell:.1f}':>9}" for cell in cells))
    return "\n".join(rows)


def failure_report(kubectl: Kubectl, *, namespace: str, name: str) -> str:
    """Describe why a run failed, with a command for the log of each attempt."""
    status = kubectl.get("trainingrun", name, namespace=namespace).get("status", {})
    lines = [f"{status.get('phase')}: {status.get('message', '')}"]
    for entry in status.get("attempts", ()):
        job = f"{name}-{entry['stage']}-{entry.get('number', 1)}"
        command = f"kubectl -n {namespace} logs job/{job} --all-containers"
        lines.append(f"log of {entry['stage']} ({entry.get('lastReason', 'running')}): {command}")
    return "\n".join(lines)
