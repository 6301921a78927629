"""The kinds of faults: what values each draws, and what it does to a world. One entry per kind."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trchaos.server import Rule

if TYPE_CHECKING:
    from trchaos.schedule import RunPlan
    from trchaos.world import World

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of fault; `lasts` is by when its cause is gone after it began, in seconds."""

    draw: Callable[[random.Random, Sequence[RunPlan]], Values]
    happen: Callable[[World, Values], None]


def _operator_killed(world: World, values: Values) -> None:
    """Kill the operator now or after some more of its calls, and start another one later."""
    process = world.processes[-1]
    if not process.alive:
        return
    process.client.die_after_calls = values["calls"]
    world.loop.call_later(values["back"], world.keep_one_operator)


def _watches_cut(world: World, values: Values) -> None:
    for stream in list(world.server.streams):
        stream.cut()
    if values["compacted"]:
        world.store.compact()


def _calls_fail(world: World, values: Values) -> None:
    world.server.rules.append(
        Rule(
            "calls fail",
            matches=lambda method, path: method in values["methods"],
            until=world.loop.time() + values["seconds"],
            share=values["share"],
            status=values["status"],
            takes_effect=values["takesEffect"],
        )
    )


KINDS: Final[Mapping[str, Kind]] = {
    "operator killed": Kind(
        lambda chance, _: {"calls": chance.randint(0, 6), "back": round(chance.uniform(0.5, 90.0), 2)},
        _operator_killed,
    ),
    "watches cut": Kind(lambda chance, _: {"compacted": chance.random() < 0.5}, _watches_cut),
    "calls fail": Kind(
        lambda chance, _: {
            "methods": chance.choice((["POST"], ["PATCH"], ["DELETE"], ["GET"], ["POST", "PATCH", "DELETE"])),
            "seconds": round(chance.uniform(1.0, 60.0), 1),
            "share": chance.choice((0.2, 1.0)),
            "status": chance.choice((0, 429, 500, 503)),
            "takesEffect": chance.random() < 0.5,
        },
        _calls_fail,
    ),
}
