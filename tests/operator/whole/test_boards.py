"""A TensorBoard that something else than the operator deletes comes back, and looking for it costs little."""

from __future__ import annotations

import pytest

from trfakes.apiserver import Fault
from trfakes.builders import a_run
from trfakes.harness import World, eventually

pytestmark = pytest.mark.contract
BOARD = "tire-tensorboard"


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainingrun.engine.board_watch.ROUND_SECONDS", 0.1)


async def finished_with_board(world: World) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    await world.finished()
    await eventually(lambda: "serviceName" in world.status().get("tensorboard", {}))


def looked_for(world: World) -> int:
    return len([r for r in world.server.requests if r.method == "GET" and r.path.endswith(f"/{BOARD}")])


@pytest.mark.parametrize("kind", ["deployments", "services"])
async def test_a_deleted_tensorboard_comes_back(world: World, kind: str) -> None:
    """It never did, though the status went on to show its address."""
    await finished_with_board(world)
    world.store.delete(kind, BOARD)
    await eventually(lambda: world.store.find(kind, BOARD), what="it is made again")
    await eventually(lambda: "serviceName" in world.status().get("tensorboard", {}))
    other = "services" if kind == "deployments" else "deployments"
    assert world.store.find(other, BOARD) is not None
    made = len(world.server.created(kind))
    seen = looked_for(world)
    await eventually(lambda: looked_for(world) > seen + 4, what="it is looked for again")
    assert len(world.server.created(kind)) == made


async def test_a_tensorboard_deleted_while_no_operator_ran_comes_back(world: World) -> None:
    await finished_with_board(world)
    await world.operators[-1].stop()
    world.store.delete("deployments", BOARD)
    await world.replace_operator()
    await eventually(lambda: world.store.find("deployments", BOARD), what="it is made again")


async def test_a_tensorboard_that_cannot_be_looked_for_stays_as_it_is(world: World) -> None:
    await finished_with_board(world)
    refusal = Fault("GET", f"/{BOARD}$", 403, times=4)
    world.server.faults.append(refusal)
    before, made = world.status(), len(world.server.created("deployments"))
    await eventually(lambda: refusal.times == 0)
    assert (world.status(), len(world.server.created("deployments"))) == (before, made)


async def test_a_deployment_of_somebody_else_under_the_name_is_not_taken_for_the_runs(world: World) -> None:
    await finished_with_board(world)
    world.store.delete("deployments", BOARD)
    world.store.create("deployments", {"metadata": {"name": BOARD}, "spec": {}})
    await eventually(lambda: "serviceName" not in world.status()["tensorboard"])
    assert world.store.get("deployments", BOARD)["spec"] == {}


async def test_only_tensorboards_that_a_status_shows_are_looked_for(world: World) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().spec(tensorboard={"enabled": False}).body())
    await world.finished()
    world.store.create("trainingruns", a_run("other").body())
    await world.finished("other")
    paths = [r.path for r in world.server.requests]
    await eventually(lambda: any(r.path.endswith("/other-tensorboard") for r in world.server.requests))
    assert not [path for path in paths if path.endswith("/tire-tensorboard")]
