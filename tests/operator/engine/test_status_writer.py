"""What a status that was not stored would have recorded of objects is written later: what was begun, and no more."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, cast

import pytest

from trainingrun.api.names import Stage
from trainingrun.api.run import Run
from trainingrun.api.status import Condition, StageAttempts, Status, Tensorboard, Training
from trainingrun.domain.draft import Draft
from trainingrun.engine.cache import Cache
from trainingrun.engine.memory import Memories
from trainingrun.engine.status_writer import StatusWriter
from trainingrun.engine.workqueue import WorkQueue
from trainingrun.kube.client import Api
from trainingrun.kube.errors import ConflictError
from trainingrun.kube.events import Recorder
from trfakes.builders import a_run

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STORED: list[StageAttempts] = [{"stage": "prep", "number": 1, "jobUID": "a"}]


class Conflicts:
    """An API server on which the run has just changed; it records what is to be stored."""

    def __init__(self) -> None:
        self.bodies: list[Mapping[str, Any]] = []

    async def call(self, method: str, path: str, *, body: Mapping[str, Any], content_type: str) -> dict[str, Any]:
        self.bodies.append(body["status"])
        raise ConflictError(path)


def writer_of(run: Run, server: Conflicts, memories: Memories) -> StatusWriter:
    cache, api = Cache(), cast("Api", server)
    cache.put_run(run)
    return StatusWriter(api, cache=cache, queue=WorkQueue(), memories=memories, recorder=Recorder(api))


def draft_of(run: Run, wanted: Status) -> Draft:
    draft = Draft(run, NOW)
    draft.status = wanted
    return draft


async def recovered_after(
    stored: Status, wanted: Status, *, before_end: Mapping[Stage, tuple[StageAttempts, Training]] = MappingProxyType({})
) -> Mapping[str, Any]:
    """Return what is written first after a status was not stored."""
    run, server = a_run().status(**stored).build(), Conflicts()
    writer, draft = writer_of(run, server, Memories()), draft_of(run, wanted)
    draft.before_end.update(before_end)
    with pytest.raises(ConflictError):
        await writer.write(run, draft, urgent=True)
    with pytest.raises(ConflictError):
        await writer.recover(run)
    return server.bodies[1]


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
    body = await recovered_after({"attempts": STORED}, {"attempts": wanted})
    known = {entry["stage"]: entry for entry in (*STORED, *(e for e in wanted if e["stage"] == recovered))}
    assert body.get("attempts", STORED) == list(known.values())


@pytest.mark.parametrize("begun", [True, False], ids=["the next attempt", "an end alone"])
async def test_the_cost_of_an_attempt_is_recovered_with_its_end(*, begun: bool) -> None:
    """Attempts that were recorded as ended without their lost steps would never be accounted for."""
    stored: Status = {"attempts": [{"stage": "train", "number": 1}], "training": {"step": 90}}
    wanted: Status = {
        "attempts": [{"stage": "train", "number": 2 if begun else 1, "ended": 1}],
        "training": {"step": 100, "stepsLost": 40},
    }
    body = await recovered_after(stored, wanted)
    assert body.get("training") == (wanted["training"] if begun else None)


async def test_an_attempt_is_recovered_with_its_own_progress() -> None:
    """It began with the steps of the one before, and then they became fewer."""
    stored: Status = {
        "message": "Training 302/1000 (30%)",
        "progress": {"stage": "train", "updated": "", "text": "Training 302/1000 (30%)", "done": 302, "total": 1000},
        "attempts": [{"stage": "train", "number": 1}],
    }
    wanted: Status = {
        "message": "Training: attempt 2 starting",
        "progress": {"stage": "train", "updated": "", "text": "Training: attempt 2 starting"},
        "attempts": [{"stage": "train", "number": 2, "ended": 1}],
    }
    body = await recovered_after(stored, wanted)
    assert body["progress"] == {**wanted["progress"], "done": None, "total": None}
    assert body["message"] == wanted["message"]


async def test_the_end_of_an_attempt_that_is_not_stored_either_is_recovered_without_its_end() -> None:
    """An operator that was restarted finds the Jobs of two stages, and both have ended: training was done twice."""
    wanted: Status = {
        "attempts": [
            {"stage": "prep", "number": 1, "ended": 1},
            {"stage": "train", "number": 1, "ended": 1, "lastOutcome": "succeeded"},
            {"stage": "export", "number": 1, "jobUID": "c"},
        ],
        "training": {"step": 300, "stepsLost": 40},
    }
    in_flight: StageAttempts = {"stage": "train", "number": 1, "jobUID": "b"}
    body = await recovered_after(
        {"attempts": STORED}, wanted, before_end={Stage.TRAIN: (in_flight, {"step": 300}), Stage.PREP: (STORED[0], {})}
    )
    assert body["attempts"] == [*STORED, in_flight, wanted["attempts"][2]]
    assert body["training"] == {"step": 300}


WAITS: Condition = {"type": "Prepared", "status": "False", "reason": "PodPending", "message": "It waits."}
IN_FLIGHT: StageAttempts = {"stage": "prep", "number": 1}
BOARD: Tensorboard = {"serviceName": "tire-tensorboard", "url": "http://tire-tensorboard"}
AWAY: Tensorboard = {"yields": 1, "returnsAt": "2026-01-01T00:01:00Z"}


@pytest.mark.parametrize(
    ("stored", "wanted", "patch"),
    [
        ({}, {"tensorboard": BOARD}, BOARD),
        ({"tensorboard": BOARD}, {"tensorboard": AWAY}, {"serviceName": None, "url": None, **AWAY}),
        ({"tensorboard": BOARD}, {}, None),
    ],
    ids=["created", "made room", "switched off"],
)
async def test_a_tensorboard_of_a_lost_status_is_recovered(stored: Status, wanted: Status, patch: Any) -> None:
    """One that nobody knew took room without end, or one that was gone was shown and never made again."""
    assert (await recovered_after(stored, wanted))["tensorboard"] == patch


@pytest.mark.parametrize(
    ("wanted", "postponed"),
    [
        ({"message": "Preparing 120/500 images (24%)", "dataset": {"images": 500, "savedImages": 100}}, True),
        ({"training": {"step": 20}}, True),
        ({"training": {"step": 20, "checkpointStep": 20}}, False),
        ({"phase": "Training"}, False),
        ({"conditions": [{**WAITS, "message": "It is being started."}], "message": "It is being started."}, True),
        ({"attempts": [{**IN_FLIGHT, "ranAt": "2026-01-01T00:00:00Z"}]}, True),
        ({"conditions": [{**WAITS, "status": "True"}]}, False),
        ({"attempts": [{**IN_FLIGHT, "ended": 1}]}, False),
    ],
    ids=["saved images", "step", "checkpoint", "phase", "words", "began to work", "condition", "end"],
)
async def test_progress_alone_is_written_every_few_seconds(wanted: Status, postponed: bool) -> None:
    run = a_run().status(conditions=[WAITS], attempts=[IN_FLIGHT]).build()
    server, memories = Conflicts(), Memories()
    memories.of(run).patched_at = time.monotonic()
    writer = writer_of(run, server, memories)
    if postponed:
        assert not await writer.write(run, draft_of(run, {**run.status, **wanted}), urgent=False)
    else:
        with pytest.raises(ConflictError):
            await writer.write(run, draft_of(run, {**run.status, **wanted}), urgent=False)
    assert bool(server.bodies) is not postponed
