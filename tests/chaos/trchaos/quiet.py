"""The quiet at the end: nothing is written any more, also not by a new operator, and what is gone is forgotten."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from trchaos.operator_faults import MAIN
from trchaos.rules.children import BOARDS
from trchaos.rules.rule import Status, condition, is_true

if TYPE_CHECKING:
    from trchaos.invariants import Invariants
    from trchaos.world import World

CALM_SECONDS: Final = 480.0  # longer than a retry is put off, and than TensorBoard is looked for
QUIET_SECONDS: Final = 120.0
RESTART_SECONDS: Final = 100.0  # until a Lease that nobody renews has ended, and a new operator has listed everything
GONE_SECONDS: Final = 60.0
LATE_SECONDS: Final = 2 * 7200.0  # a moment was written, or its timer was set, by a clock that was wrong
MARGIN_SECONDS: Final = 60.0  # an operator that was restarted has missed a moment, and clocks can differ


async def settle(world: World, invariants: Invariants, *, rests: bool) -> None:
    """Check a world in which nothing happens any more; `rests`: every run has ended, or is suspended for good."""
    if rests:
        await asyncio.sleep(CALM_SECONDS)
    invariants.finish()
    if not rests:
        return
    await is_quiet(world, invariants, QUIET_SECONDS, "nothing has changed")
    for process in world.processes:
        process.kill()
    world.start_operator(MAIN)
    await is_quiet(world, invariants, RESTART_SECONDS, "an operator was restarted")
    for body in list(world.store.select("trainingruns")):
        world.store.delete("trainingruns", body["metadata"]["name"], namespace=body["metadata"]["namespace"])
    await asyncio.sleep(GONE_SECONDS)
    for process in world.processes:
        if process.alive:
            invariants.processes.keeps_nothing(process)
    invariants.children_are_gone()


async def is_quiet(world: World, invariants: Invariants, seconds: float, why: str) -> None:
    """Check that nothing is written for so long, except about a run whose time comes meanwhile."""
    calls, now = invariants.calls, world.true_now()
    calls.writes.clear()
    runs = list(world.store.select("trainingruns"))
    lost = [run for run in runs if not _has_document(world, run)]
    due = {f"/namespaces/{run['metadata']['namespace']}/configmaps" for run in lost}
    waits = [run for run in runs if waits_for_its_user(world, run.get("status") or {})]
    due |= {
        f"/namespaces/{run['metadata']['namespace']}/{plural}" for run in waits for plural in ("configmaps", "jobs")
    }
    known = list(world.store.select("trainingruns"))  # the status does not say any more what is over
    await asyncio.sleep(seconds)
    known += world.store.select("trainingruns")
    late = LATE_SECONDS if invariants.truth.skewed else MARGIN_SECONDS
    for run in [run for run in known if _has_time(run, now, seconds, late=late)]:
        due |= {f"/{run['metadata']['name']}"}
        due |= {f"/namespaces/{run['metadata']['namespace']}/{plural}" for plural in BOARDS}
    for path in calls.writes:
        if not any(name in path for name in due):
            invariants.scene.broken("no write when nothing has changed", "", f"{why}: {path}")


def waits_for_its_user(world: World, status: Status) -> bool:
    """Whether only its user can help: the operator was replaced by one that would write another document.

    What the first one accepted the run with is lost, or it made a Job and could not store that it had accepted the run.
    """
    if len({process.settings.trainer_image for process in world.processes}) < 2:
        return False
    lost = condition(status, "Accepted").get("reason") in {"ConfigMapLost", "ForeignConfigMap"}
    return lost or "RESOLVED_SHA256].value differs); delete or rename it" in status.get("message", "")


def _has_document(world: World, run: dict[str, Any]) -> bool:
    """Whether a run that has not ended has its ConfigMap, or needs none; an operator that starts makes it again."""
    meta = run["metadata"]
    name = f"{meta['name']}-resolved-{meta['uid'][:8]}"
    there = world.store.find("configmaps", name, namespace=meta["namespace"]) is not None
    return there or is_true(run.get("status") or {}, "Finished")


def _has_time(run: dict[str, Any], now: datetime, seconds: float, *, late: float) -> bool:
    """Whether something is due for a run by then, or late: its TensorBoard ends or comes back, or it is deleted."""
    status = run.get("status") or {}
    board = status.get("tensorboard") or {}
    moments = [board.get("expiresAt"), board.get("returnsAt")]
    ends = [datetime.fromisoformat(moment) for moment in moments if moment]
    ttl = run["spec"].get("ttlSecondsAfterFinished")
    if ttl is not None and is_true(status, "Finished"):
        ends.append(datetime.fromisoformat(status["finishedAt"]) + timedelta(seconds=ttl))
    return any(-late < (end - now).total_seconds() < seconds + MARGIN_SECONDS for end in ends)
