"""`python3 -m trbench.fleet_restart --finished 10000`: an operator starts beside many finished runs.

How long until it is ready and until a new run has its first Job, what it asks of the API server, its memory, and what
it costs when nothing happens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Final

from trbench.fleet import CREATES_AT_ONCE, WORK_SECONDS, Moments, create_runs, until, watch_runs
from trbench.fleet_costs import Costs, Requests, resident_bytes
from trbench.fleet_site import NAMESPACES, Site, site
from trchaosfleet.kube import Body, Kube
from trfakes.builders import a_run

FINISHED: Final = 1000
IDLE_SECONDS: Final = 60.0
NEW: Final = "zz-new"  # the last by name


async def measure(*, finished: int, say: Callable[[str], None]) -> None:
    """Make so many finished runs, start an operator, and look at it."""
    with site(work_seconds=WORK_SECONDS) as place:
        async with Kube(place.cluster.kubeconfig) as kube:
            template = await _finished_run(place, kube)
            began = time.monotonic()
            await _copy(kube, template, runs=finished)
            say(f"{finished} finished runs in {time.monotonic() - began:.0f} s")
            await _start(place, kube, say=say)


async def _finished_run(place: Site, kube: Kube) -> Body:
    """Let one run succeed; its object is the pattern of the others."""
    moments = Moments()
    operator = place.start_operator()
    watching = asyncio.create_task(watch_runs(kube, "trainingruns", moments))
    try:
        await create_runs(kube, runs=1)
        await until(lambda: bool(moments.finished), what="the first run to finish")
        await asyncio.sleep(2)
    finally:
        watching.cancel()
        operator.stop()
    (run,) = await kube.list("trainingruns", NAMESPACES[0])
    return run


async def _copy(kube: Kube, template: Body, *, runs: int) -> None:
    at_once = asyncio.Semaphore(CREATES_AT_ONCE)
    text = json.dumps({key: template[key] for key in ("apiVersion", "kind", "spec", "status")})

    async def copy(number: int) -> None:
        name, namespace = f"done-{number}", NAMESPACES[number % len(NAMESPACES)]
        body = json.loads(text.replace("run-0", name))
        meta = {"name": name, "namespace": namespace}
        async with at_once:
            await kube.create("trainingruns", {**body, "metadata": meta}, namespace)
            await kube.patch("trainingruns", name, {"status": body["status"]}, namespace, sub="status")

    await asyncio.gather(*(copy(number) for number in range(runs)))


async def _start(place: Site, kube: Kube, *, say: Callable[[str], None]) -> None:
    moments, requests = Moments(), Requests(place.cluster.layout.audit_log)
    watching = asyncio.create_task(watch_runs(kube, "jobs", moments))
    began = time.monotonic()
    operator = await asyncio.to_thread(place.start_operator)
    try:
        say(f"ready after {time.monotonic() - began:.1f} s")
        body = a_run(NEW).spec(tensorboard={"enabled": False}).body()
        body["metadata"] = {"name": NEW, "namespace": NAMESPACES[-1]}
        created = time.monotonic()
        await kube.create("trainingruns", body, NAMESPACES[-1])
        await until(lambda: bool(moments.created), what="the first Job of a new run")
        say(f"first Job of a new run after {time.monotonic() - created:.1f} s")
        await asyncio.sleep(30)
        costs, most = Costs({"operator": operator.process.pid}), 0
        costs.start()
        deadline = time.monotonic() + IDLE_SECONDS
        while time.monotonic() < deadline:
            most = max(most, resident_bytes(operator.process.pid))
            await asyncio.sleep(0.5)
        costs.stop()
        share = 100 * costs.seconds["operator"] / IDLE_SECONDS
        say(f"memory {most / 2**20:.0f} MiB at most, CPU {share:.1f} % of a core")
        asked = requests.of(operator.account)
        say("requests: " + ", ".join(f"{what} {count}" for what, count in asked.most_common(12)))
    finally:
        watching.cancel()
        operator.kill()


def main() -> int:
    """Measure with so many finished runs."""
    parser = argparse.ArgumentParser(prog="trbench.fleet_restart", description="A start beside many finished runs.")
    parser.add_argument("--finished", type=int, default=FINISHED)
    asyncio.run(measure(finished=parser.parse_args().finished, say=print))
    return 0


if __name__ == "__main__":
    sys.exit(main())
