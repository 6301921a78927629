"""A run from apply to Succeeded, with everything that is left behind."""

from __future__ import annotations

import pytest
from trfakes.harness import World
from trfakes.builders import a_run



async def test_a_run_ends_succeeded_with_its_results(world: World) -> None:
    await world.start_operator()
    world.store.create("trainingruns", a_run().body())
    status = await world.finished()
    assert status["phase"] == "Succeeded"
    assert status["message"] == "Exported checkpoint 150 with AP@.5 0.912."
