"""Faults of operator processes: killed, stopped, paused, cut off, doubled, with a clock that is wrong."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from trchaos.kind import Kind, Values, seconds

if TYPE_CHECKING:
    from trchaos.process import Process
    from trchaos.schedule import RunPlan
    from trchaos.world import World

MAIN: Final = "operator"
SECOND: Final = "second"
OTHER_IMAGE: Final = "trainer:2"
PATIENCE_SECONDS: Final = 300.0  # until an operator that did not make enough calls is killed all the same
JUMPS: Final = (-7200.0, -3600.0, -301.0, -30.0, -2.0, 2.0, 30.0, 301.0, 3600.0, 7200.0)


def running(world: World, name: str) -> Process | None:
    """The newest process of that name that lives."""
    found = [process for process in world.processes if process.alive and process.name.rpartition("-")[0] == name]
    return found[-1] if found else None


def keep_running(world: World, name: str = MAIN) -> None:
    """Start an operator unless one of that name lives, as its Deployment does."""
    if running(world, name) is None:
        world.start_operator(name)


def _draw_kill(chance: random.Random, _: Sequence[RunPlan]) -> Values:
    return {
        "calls": chance.choice((0, 0, 1, 2, 3, 5, 8, 20)),
        "before": chance.random() < 0.5,
        "reads": chance.random() < 0.3,
        "back": seconds(chance, 0.1, 300.0),
    }


def _kill(world: World, values: Values) -> None:
    """Kill the operator before or after the effect of one of its next calls, and start another one later."""
    process = running(world, MAIN)
    if process is None:
        return

    def die() -> None:
        if process.alive:
            process.kill()
            world.loop.call_later(values["back"], keep_running, world)

    client = process.client
    client.on_death = die
    client.die_after_calls, client.dies_before, client.counts_reads = values["calls"], values["before"], values["reads"]
    world.loop.call_later(PATIENCE_SECONDS, die)


def _stop(world: World, values: Values) -> None:
    """End the operator as a Deployment does; the next one may start before the end of this one."""
    process = running(world, MAIN)
    if process is None:
        return
    if values["overlap"]:
        world.start_operator(MAIN)
    stopping = world.loop.create_task(process.stop())
    stopping.add_done_callback(lambda _: world.loop.call_later(values["back"], keep_running, world))


def _upgrade(world: World, values: Values) -> None:
    """Replace the operator by one of another version, with another trainer image; later it is taken back."""
    _replace(world, trainer_image=OTHER_IMAGE)
    world.loop.call_later(values["seconds"], _replace, world)


def _replace(world: World, **settings: str) -> None:
    process = running(world, MAIN)
    world.start_operator(MAIN, **settings)
    if process is not None:
        world.loop.create_task(process.stop())


def _draw_second(chance: random.Random, runs: Sequence[RunPlan]) -> Values:
    namespaces = sorted({plan.namespace for plan in runs})
    return {
        "namespaces": chance.sample(namespaces, chance.randint(0, len(namespaces))),
        "seconds": seconds(chance, 5.0, 1200.0),
        "killed": chance.random() < 0.5,
    }


def _second(world: World, values: Values) -> None:
    """Run a second operator for a while: for the whole cluster too, or for some namespaces only."""
    process = world.start_operator(SECOND, namespaces=tuple(values["namespaces"]))

    def end() -> None:
        if process.alive and values["killed"]:
            process.kill()
        elif process.alive:
            world.loop.create_task(process.stop())

    world.loop.call_later(values["seconds"], end)


def _cut_off(world: World, values: Values) -> None:
    """Let no call and no event pass between one operator and the server; half of the calls in flight take effect."""
    process = running(world, values["of"]) or running(world, MAIN)
    if process is not None:
        client = process.client
        client.unreachable_until = max(client.unreachable_until, world.loop.time() + values["seconds"])


def _freeze(world: World, values: Values) -> None:
    """Let a process stand still, as under SIGSTOP or on a node that swaps."""
    process = running(world, values["of"]) or running(world, MAIN)
    if process is not None:
        process.freeze(values["seconds"])


def _draw_pause(chance: random.Random, _: Sequence[RunPlan]) -> Values:
    return {"of": chance.choice((MAIN, MAIN, SECOND)), "seconds": seconds(chance, 1.0, 240.0)}


def _draw_jump(chance: random.Random, _: Sequence[RunPlan]) -> Values:
    return {"by": chance.choice(JUMPS), "seconds": seconds(chance, 10.0, 3600.0)}


def _operator_clock(world: World, values: Values) -> None:
    process = running(world, MAIN)
    if process is not None:
        process.skew += values["by"]
        world.loop.call_later(values["seconds"], partial(_turn_clock, process, -values["by"]))


def _turn_clock(process: Process, by: float) -> None:
    process.skew += by


def _server_clock(world: World, values: Values) -> None:
    world.server_skew += values["by"]
    world.loop.call_later(values["seconds"], _turn_server, world, -values["by"])


def _turn_server(world: World, by: float) -> None:
    world.server_skew += by


def _kill_lasts(values: Values) -> float:
    return PATIENCE_SECONDS + float(values["back"])


KINDS: Final[Mapping[str, Kind]] = {
    "operator killed": Kind(_draw_kill, _kill, _kill_lasts),
    "operator stopped": Kind(
        lambda chance, _: {"overlap": chance.random() < 0.5, "back": seconds(chance, 0.1, 120.0)},
        _stop,
        lambda values: 20.0 + float(values["back"]),
    ),
    "operator of another version": Kind(
        lambda chance, _: {"seconds": seconds(chance, 20.0, 1800.0)}, _upgrade, lambda values: float(values["seconds"])
    ),
    "second operator": Kind(_draw_second, _second, lambda values: 60.0 + float(values["seconds"])),
    "operator cut off": Kind(_draw_pause, _cut_off),
    "operator frozen": Kind(_draw_pause, _freeze),
    "operator's clock jumps": Kind(_draw_jump, _operator_clock),
    "server's clock jumps": Kind(_draw_jump, _server_clock),
}
