"""`make chaos-fleet`: run schedules, print a line for each and a table of all."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

from trchaos.hunt import copy_with_patch
from trchaos.mutant_table import MUTANTS
from trchaosfleet.kube import Kube
from trchaosfleet.kubelets import keep_nodes_alive
from trchaosfleet.schedule import Result, Schedule
from trchaosfleet.site import Lane, install, site


def main() -> int:
    """Run; the exit code is 1 if an invariant was broken."""
    parser = argparse.ArgumentParser(prog="trchaosfleet", description=__doc__)
    parser.add_argument("--seeds", type=int, default=30, help="how many schedules (default: %(default)s)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="only this schedule")
    parser.add_argument("--lanes", type=int, default=3, help="schedules at the same time (default: %(default)s)")
    parser.add_argument("--cluster", default="chaos-fleet", help="its name (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the logs of operators go")
    parser.add_argument("--mutant", choices=sorted(mutant.patch for mutant in MUTANTS), help="put this defect back")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that cluster and operators end, too
    seeds = [chosen.seed] if chosen.seed is not None else list(range(chosen.first, chosen.first + chosen.seeds))
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="chaos-fleet-"))
    if chosen.mutant is not None:
        (patch,) = (mutant.path for mutant in MUTANTS if mutant.patch == chosen.mutant)
        operator = copy_with_patch(patch, to=folder / chosen.mutant)
        os.environ["PYTHONPATH"] = f"{operator}{os.pathsep}{os.environ['PYTHONPATH']}"
    with site(chosen.cluster) as (cluster, kubectl):
        lanes = [install(kubectl, number) for number in range(1, min(chosen.lanes, len(seeds)) + 1)]
        results = asyncio.run(_run_all(seeds, lanes, folder, cluster.kubeconfig))
    _print_table(results)
    if any(result.violations for result in results):
        print(f"The operators' logs are in {folder}.")
        return 1
    if chosen.folder is None:
        shutil.rmtree(folder)
    return 0


async def _run_all(seeds: list[int], lanes: list[Lane], folder: Path, kubeconfig: Path) -> list[Result]:
    waiting, results = list(seeds), []

    async def serve(kube: Kube, lane: Lane) -> None:
        while waiting:
            seed = waiting.pop(0)
            result = await Schedule(seed, kube, lane, folder / f"seed-{seed}", kubeconfig).run()
            results.append(result)
            _print(result)

    async with Kube(kubeconfig) as kube:
        nodes = asyncio.create_task(keep_nodes_alive(kube))
        try:
            async with asyncio.TaskGroup() as group:
                for lane in lanes:
                    group.create_task(serve(kube, lane))
        finally:
            nodes.cancel()
            await asyncio.gather(nodes, return_exceptions=True)
    return sorted(results, key=lambda result: result.seed)


def _print(result: Result) -> None:
    faults = " ".join(f"{kind}={count}" for kind, count in sorted(result.faults.items()))
    requests = f"{result.requests_per_run:.0f} requests/run (most {result.most_requests})"
    settled = f"settled in {result.settled_seconds:.0f} s of {result.seconds:.0f} s"
    broken = f"{len(result.violations)} violations"
    print(f"seed {result.seed}: {result.runs} runs, {requests}, {settled}, {broken}; {faults}", flush=True)
    for text in result.violations:
        print(f"  {text}", flush=True)
    if result.violations:
        print(f"  again: make chaos-fleet SEED={result.seed}", flush=True)


def _print_table(results: list[Result]) -> None:
    total: Counter[str] = Counter()
    for result in results:
        total.update(result.faults)
    print("\n| fault | injected |\n|---|---|")
    for kind, count in total.most_common():
        print(f"| {kind} | {count} |")
    runs = sum(result.runs for result in results)
    broken = sum(len(result.violations) for result in results)
    print(f"\n{len(results)} schedules, {runs} runs, {sum(total.values())} faults, {broken} violations")


if __name__ == "__main__":
    sys.exit(main())
