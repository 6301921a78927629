"""Carry out attacks of a user who may create TrainingRuns, and see what the operator creates for them."""

from __future__ import annotations

from typing import Any

from trfakes.builders import a_run
from trfakes.harness import World
from trfakes.store import Change, Object


async def expect_nothing_is_made(world: World, attacks: dict[str, dict[str, Any]], reason: str) -> None:
    """Create a run for each attack: all of them end for this reason, and nothing was created for any of them."""
    names = {f"attack-{number}": attack for number, attack in enumerate(attacks)}
    for name, attack in names.items():
        world.store.create("trainingruns", a_run(name).spec(**attacks[attack]).body())
    for name, attack in names.items():
        assert (await world.finished(name))["phase"] == "Failed", attack
        assert world.condition("Accepted", name)["reason"] == reason, attack
    kinds = ("configmaps", "jobs", "pods", "deployments", "services")
    assert [body["metadata"]["name"] for kind in kinds for body in world.store.select(kind)] == []


def note_pods(world: World) -> list[Object]:
    """All Jobs and Deployments that are created from now on."""
    made: list[Object] = []

    def note(change: Change) -> None:
        if change.plural in {"jobs", "deployments"} and change.kind == "ADDED":
            made.append(change.body)

    world.store.listeners.append(note)
    return made
