"""What lies below runs/: the objects of each run, whether it has finished, and which other runs it starts from.

Invariant: only reads. A run whose documents cannot be read counts as one that needs all that it has.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from trainingrun_agent.contract import Stage
from trainingrun_agent.errors import UNUSABLE
from trainingrun_agent.keys import BucketKeys, RunKeys, folder_of
from trainingrun_agent.stopping import raise_if_stopped
from trainingrun_agent.storage import results
from trainingrun_agent.storage.base import ObjectInfo, ObjectStore
from trainingrun_agent.storage.subfolders import subfolders

MAX_DESCRIPTION: Final = 1 << 20
_RUN: Final = re.compile(r"runs/([a-z0-9.-]{1,63}/[a-z0-9-]{1,63}-[0-9a-f]{8})(?=/)")


def runs_in(text: str) -> frozenset[str]:
    """Names of the runs whose folders a text mentions."""
    return frozenset(_RUN.findall(text))


@dataclass
class StoredRun:
    """A run's folder; `name` is `<namespace>/<name>-<uid8>`.

    `finished` is whether it has exported a model. `needs` are folders of checkpoints that its results name, and
    `exported_step` is the step that was exported. `starts_from` are names of runs that its description mentions.
    """

    name: str
    keys: RunKeys
    objects: list[ObjectInfo] = field(default_factory=list)
    finished: bool = False
    readable: bool = True
    needs: frozenset[str] = frozenset()
    exported_step: int | None = None
    starts_from: frozenset[str] = frozenset()

    @property
    def modified(self) -> datetime:
        """When something was last written to it."""
        return max(info.modified for info in self.objects)


def survey_runs(store: ObjectStore, keys: BucketKeys, *, stop: threading.Event) -> list[StoredRun]:
    """List everything below runs/. Raises what storage raises, Interrupted."""
    found = []
    for folder in subfolders(store, keys.runs, depth=2):
        raise_if_stopped(stop)
        run = StoredRun(folder[len(keys.runs) + 1 :], RunKeys(folder))
        for number, info in enumerate(store.list(f"{folder}/")):
            if number % 1000 == 0:
                raise_if_stopped(stop)
            run.objects.append(info)
        if not run.objects:  # another one deletes them at this moment
            continue
        _read(store, keys, run)
        found.append(run)
    return found


def _read(store: ObjectStore, keys: BucketKeys, run: StoredRun) -> None:
    try:
        trained, exported = (_result(store, run, stage) for stage in ("train", "export"))
        text = _description(store, run)
    except (*UNUSABLE, ValueError):
        run.readable = False
        return
    run.finished = exported is not None
    if trained is not None:
        run.needs = frozenset({folder_of(keys.absolute(str(trained["manifestKey"])))})
    step = exported["numbers"].get("checkpointStep") if exported else None
    run.exported_step = step if isinstance(step, int) else None
    run.starts_from = runs_in(text) - {run.name}


def _result(store: ObjectStore, run: StoredRun, stage: Stage) -> dict[str, Any] | None:
    return results.read_result(store, run.keys, stage)


def _description(store: ObjectStore, run: StoredRun) -> str:
    """The text of run.json; empty if prep has not written it yet."""
    if not any(info.key == run.keys.description for info in run.objects):
        return ""
    return store.get(run.keys.description, max_bytes=MAX_DESCRIPTION).decode()
