"""Many runs at once on a real API server, Job controller and scheduler: throughput, what a run costs, and how long a
pod that has ended waits for the next Job, beside a bare program that creates the same Jobs (`fleet_floor.py`).

`python3 -m trbench.fleet --runs 1000 --rounds 3 --json FILE` for other sizes than those of `make bench`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from trainingrun.api.names import LABEL_RUN, LABEL_STAGE, Stage
from trbench.fleet_costs import Costs, Requests
from trbench.fleet_site import NAMESPACES, Site, site
from trbench.measurements import Echo, Measurement
from trchaosfleet.kube import Body, Kube
from trdemo.shell import DemoError
from trfakes.builders import a_run

RUNS, ROUNDS, WORK_SECONDS = 300, 1, 2.0
SHARE, REQUESTS, HANDOVER = 0.4, 30, 3.0  # limits
SECONDS: Final = 1200.0  # that a block may take
CREATES_AT_ONCE: Final = 16
FLOOR, OPERATOR = "floor", "operator"
FLOOR_USER: Final = "kubernetes-super-admin"


@dataclass
class Block:
    """One program with so many runs: what it took."""

    program: str
    runs: int
    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)  # seconds by component
    requests: Counter[str] = field(default_factory=Counter)
    handovers: list[float] = field(default_factory=list)  # seconds from a pod's end to the next Job

    @property
    def per_minute(self) -> float:
        """Runs per minute."""
        return 60 * self.runs / self.seconds

    def milliseconds(self, component: str = "") -> float:
        """CPU of a run, by one component or all."""
        used = self.cpu[component] if component else sum(self.cpu.values())
        return 1000 * used / self.runs

    def handover(self, share: float) -> float:
        """A quantile of the handovers, in seconds."""
        ordered = sorted(self.handovers)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def line(self) -> str:
        """A row of the table."""
        own = self.milliseconds(self.program)
        return (
            f"{self.program:9} {self.runs:6} runs {self.per_minute:7.0f}/min;"
            f" CPU ms/run: all {self.milliseconds():6.0f}, itself {own:5.0f},"
            f" API server {self.milliseconds('kube-apiserver'):5.0f};"
            f" requests/run {sum(self.requests.values()) / self.runs:5.1f};"
            f" pod's end to next Job p50 {self.handover(0.5):.2f} p95 {self.handover(0.95):.2f}"
            f" p99 {self.handover(0.99):.2f} s"
        )


class Moments:
    """When pods were seen to end and Jobs to be created, and which runs are done."""

    def __init__(self) -> None:
        self.ended: dict[tuple[str, str, str], float] = {}
        self.created: dict[tuple[str, str, str], float] = {}
        self.finished: set[tuple[str, str]] = set()

    def see(self, plural: str, body: Body) -> None:
        """Take a change of a pod, Job or run."""
        meta, now = body["metadata"], time.monotonic()
        if plural == "trainingruns":
            conditions = (body.get("status") or {}).get("conditions") or ()
            if any((c["type"], c["status"]) == ("Finished", "True") for c in conditions):
                self.finished.add((meta["namespace"], meta["name"]))
            return
        labels = meta.get("labels") or {}
        if LABEL_STAGE in labels:
            key = (meta["namespace"], labels[LABEL_RUN], labels[LABEL_STAGE])
            if plural == "jobs":
                self.created.setdefault(key, now)
            elif body["status"].get("phase") in {"Succeeded", "Failed"}:
                self.ended.setdefault(key, now)

    def handovers(self) -> list[float]:
        """Seconds from the end of each pod to the creation of the next Job."""
        stages = [stage.value for stage in Stage]
        following = dict(itertools.pairwise(stages))
        return [
            max(0.0, self.created[namespace, run, following[stage]] - at)
            for (namespace, run, stage), at in self.ended.items()
            if (namespace, run, following.get(stage)) in self.created
        ]


def measure(echo: Echo) -> Iterator[Measurement]:
    """Measure both programs in turn, and compare their medians."""
    blocks = asyncio.run(_measure(echo, runs=RUNS, rounds=ROUNDS, programs=(FLOOR, OPERATOR)))
    ours, floor = (_medians([b for b in blocks if b.program == name]) for name in (OPERATOR, FLOOR))
    detail = f"{ours['per_minute']:.0f} and {floor['per_minute']:.0f} runs a minute"
    share = ours["per_minute"] / floor["per_minute"]
    yield Measurement("throughput, share of the floor", share, "", SHARE, detail, at_least=True)
    yield Measurement("CPU of the operator for a run", ours["own"], "ms")
    yield Measurement("CPU of all components for a run", ours["all"], "ms", None, f"floor {floor['all']:.0f} ms")
    yield Measurement("requests of the operator for a run", ours["requests"], "", REQUESTS)
    yield Measurement("pod's end to next Job, p99", ours["p99"], "s", HANDOVER, f"floor {floor['p99']:.2f} s")


def _medians(blocks: list[Block]) -> dict[str, float]:
    rows = [
        {
            "per_minute": block.per_minute,
            "own": block.milliseconds(block.program),
            "all": block.milliseconds(),
            "requests": sum(block.requests.values()) / block.runs,
            "p99": block.handover(0.99),
        }
        for block in blocks
    ]
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


async def _measure(echo: Echo, *, runs: int, rounds: int, programs: tuple[str, ...]) -> list[Block]:
    blocks = []
    with site(work_seconds=WORK_SECONDS) as place:
        async with Kube(place.cluster.kubeconfig) as kube:
            for number in range(rounds):
                for program in programs if number % 2 == 0 else programs[::-1]:
                    block = await _block(place, kube, program, runs=runs)
                    echo(block.line())
                    echo("  " + ", ".join(f"{what} {n / runs:.2f}" for what, n in block.requests.most_common(12)))
                    blocks.append(block)
    return blocks


async def _block(place: Site, kube: Kube, program: str, *, runs: int) -> Block:
    """One program with so many runs, and everything deleted again."""
    block, moments = Block(program, runs), Moments()
    watching = [asyncio.create_task(watch_runs(kube, plural, moments)) for plural in ("pods", "jobs", "trainingruns")]
    await asyncio.sleep(1)
    try:
        with _running(place, program, runs=runs) as (pid, user):
            costs = Costs({**place.pids(), program: pid})
            requests = Requests(place.cluster.layout.audit_log)
            costs.start()
            began = time.monotonic()
            if program == OPERATOR:
                await create_runs(kube, runs=runs)
                await until(lambda: len(moments.finished) >= runs, what=f"{runs} runs to finish")
            else:
                last = Stage.EXPORT.value
                await until(
                    lambda: sum(stage == last for _, _, stage in moments.ended) >= runs, what=f"{runs} runs to finish"
                )
            block.seconds = time.monotonic() - began
            costs.stop()
            block.cpu, block.handovers = costs.seconds, moments.handovers()
            block.requests = requests.of(user)
            await _clear(kube)
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    return block


@contextmanager
def _running(place: Site, program: str, *, runs: int) -> Iterator[tuple[int, str]]:
    """The program as a process: its PID and its user in the audit log."""
    if program == OPERATOR:
        operator = place.start_operator()
        try:
            yield operator.process.pid, operator.account
        finally:
            operator.kill()
        return
    argv = [sys.executable, "-m", "trbench.fleet_floor", str(place.cluster.kubeconfig), str(runs)]
    process = subprocess.Popen(argv)
    try:
        yield process.pid, FLOOR_USER
    finally:
        process.kill()
        process.wait()


async def watch_runs(kube: Kube, plural: str, moments: Moments) -> None:
    """Note all changes of a kind, without end."""
    async for kind, body in kube.watch(plural, ""):
        if kind != "DELETED":
            moments.see(plural, body)


async def create_runs(kube: Kube, *, runs: int) -> None:
    """Create all runs as fast as the API server takes them."""
    at_once = asyncio.Semaphore(CREATES_AT_ONCE)

    async def create(number: int) -> None:
        namespace = NAMESPACES[number % len(NAMESPACES)]
        body = a_run(f"run-{number}").spec(tensorboard={"enabled": False}).body()
        body["metadata"] = {"name": f"run-{number}", "namespace": namespace}
        body.pop("status", None)
        async with at_once:
            await kube.create("trainingruns", body, namespace)

    await asyncio.gather(*(create(number) for number in range(runs)))


async def _clear(kube: Kube) -> None:
    """Delete all runs and Jobs, and wait until their pods are gone."""
    for namespace in NAMESPACES:
        for plural in ("trainingruns", "jobs"):
            await asyncio.gather(
                *(kube.delete(plural, b["metadata"]["name"], namespace) for b in await kube.list(plural, namespace))
            )
    deadline = time.monotonic() + SECONDS
    while any([await kube.list(plural, ns) for plural in ("jobs", "pods") for ns in NAMESPACES]):
        if time.monotonic() > deadline:
            raise DemoError("pods of the benchmark stay")
        await asyncio.sleep(1)


async def until(holds: Callable[[], bool], *, what: str) -> None:
    """Wait until something holds; raises DemoError."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise DemoError(f"waited {SECONDS:.0f} s for {what}")
        await asyncio.sleep(0.1)


def main() -> int:
    """Measure with other numbers."""
    parser = argparse.ArgumentParser(prog="trbench.fleet", description="Many runs at once.")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=(FLOOR, OPERATOR), action="append")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    programs = tuple(asked.only or (FLOOR, OPERATOR))
    blocks = asyncio.run(_measure(print, runs=asked.runs, rounds=asked.rounds, programs=programs))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(block) for block in blocks], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
