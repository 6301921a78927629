"""What a status that was not stored would have recorded is written later: attempts that were begun, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from trainingrun.api.status import StageAttempts, Status
from trainingrun.engine.cache import Cache
from trainingrun.engine.memory import Memories
from trainingrun.engine.status_writer import StatusWriter
from trainingrun.engine.workqueue import WorkQueue
from trainingrun.kube.client import Api
from trainingrun.kube.errors import ConflictError
from trainingrun.kube.events import Recorder
from trfakes.builders import a_run

STORED: list[StageAttempts] = [{"stage": "prep", "number": 1, "jobUID": "a"}]


class Conflicts:
    """An API server on which the run has just changed; it records what is to be stored."""

    def __init__(self) -> None:
        self.bodies: list[Mapping[str, Any]] = []

    async def call(self, method: str, path: str, *, body: Mapping[str, Any], content_type: str) -> dict[str, Any]:
        self.bodies.append(body["status"])
        raise ConflictError(path)


@pytest.mark.parametrize(
    ("wanted", "recovered"),
    [
        ([{"stage": "prep", "number": 1, "ended": 1}, {"stage": "train", "number": 1, "jobUID": "b"}], "train"),
        ([{"stage": "prep", "number": 2, "ended": 1, "failures": {"crash": 1}, "jobUID": "b"}], "prep"),
        ([{"stage": "prep", "number": 1, "ended": 1}], ""),
    ],
    ids=["the next stage", "the next attempt", "an end alone"],
)
async def test_the_end_of_a_stage_is_recovered_only_with_its_results(
    wanted: list[StageAttempts], recovered: str
) -> None:
    """Its condition is not stored: an end without it would run the stage again, beside the next one."""
    cache, run, server = Cache(), a_run().status(attempts=STORED).build(), Conflicts()
    cache.put_run(run)
    api = cast("Api", server)
    writer = StatusWriter(
        api,
        cache=cache,
        queue=WorkQueue(),
        memories=Memories(),
        recorder=Recorder(api),
        now=lambda: datetime.now(UTC),
    )
    with pytest.raises(ConflictError):
        await writer.write(run, cast("Status", {**run.status, "attempts": wanted}), urgent=True)
    with pytest.raises(ConflictError):
        await writer.recover(run)
    known = {entry["stage"]: entry for entry in (*STORED, *(e for e in wanted if e["stage"] == recovered))}
    assert server.bodies[1]["attempts"] == list(known.values())
