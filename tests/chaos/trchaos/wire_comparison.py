"""Compare an execution over HTTP with executions of the model: runs end alike, and operators call as often.

The model is executed several times, each with other latencies and other draws of the cluster: all ends that a run has
there are ends that its schedule allows, and the numbers of calls are between the least and the most of them, within a
tolerance. With one end only, the run has to end so over HTTP too.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import Final

from trchaos.execution import Report, execute
from trchaos.rules.rule import condition, key_of
from trchaos.schedule import Schedule
from trchaos.server import Request, plural_of
from trchaos.trace import Trace
from trchaos.wire_loop import run_wire
from trchaos.wire_process import WireWorld
from trchaos.world import World
from trfakes.store import Change

MODELS: Final = 6  # executions of the model
MORE: Final = 30  # before what is seen counts as not explained: some orders of events are rare
SHARE: Final = 0.25  # by which calls of one kind may be fewer than the least of the model, or more than the most
CALLS: Final = 12  # and by so many
NO_END: Final = "no end"  # of a run that is deleted before, or suspended
Call = tuple[str, str]  # method and plural


@dataclass
class Seen(Trace):
    """What one execution shows of itself."""

    calls: Counter[Call] = field(default_factory=Counter)
    ends: dict[str, str] = field(default_factory=dict)  # of each run: its condition Succeeded

    def __post_init__(self) -> None:
        super().__init__()

    def watch(self, world: World) -> None:
        world.server.listeners.append(self._count)
        world.store.listeners.append(self._see)

    def note(self, at: float, text: str) -> None: ...

    def _count(self, request: Request) -> None:
        self.calls[request.method, plural_of(request.path)] += 1

    def _see(self, change: Change) -> None:
        if change.plural == "trainingruns":
            found = condition(change.body.get("status") or {}, "Succeeded")
            ended = found.get("status") in {"True", "False"}
            self.ends[key_of(change.body)] = f"{found['status']} {found['reason']}" if ended else NO_END


@dataclass(frozen=True)
class Comparison:
    """One schedule, over HTTP and in the model."""

    report: Report
    wire: Seen
    models: list[Seen]

    def allowed(self, run: str) -> set[str]:
        """The ends that a run has in the model."""
        return {seen.ends.get(run, "not created") for seen in self.models}

    @property
    def differences(self) -> list[str]:
        """What happened over HTTP and is not explained by the model."""
        found = []
        for run, end in sorted(self.wire.ends.items()):
            if end not in self.allowed(run):
                found.append(f"{run} ends with {end}, in the model with {sorted(self.allowed(run))}")
        for call, (count, least, most) in counts([self]).items():
            if not least * (1 - SHARE) - CALLS <= count <= most * (1 + SHARE) + CALLS:
                found.append(f"{' '.join(call)}: {count} calls, in the model {least} to {most}")
        return found


def compare(schedule: Schedule, *, models: int = MODELS) -> Comparison:
    """Execute a schedule over HTTP and several times in the model, more often if these do not explain what is seen."""
    wire = Seen()
    found = Comparison(execute(schedule, trace=wire, make_world=WireWorld, run=run_wire), wire, [])
    while len(found.models) < models or (found.differences and len(found.models) < MORE):
        other = Seen()
        execute(replace(schedule, seed=schedule.seed + len(found.models) * 1_000_000), trace=other)
        found.models.append(other)
    return found


def counts(found: list[Comparison]) -> dict[Call, tuple[int, int, int]]:
    """Calls over HTTP, and the least and the most of the model, summed over schedules; discovery is left out."""
    sums: dict[Call, list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in found:
        for call in {call for seen in (one.wire, *one.models) for call in seen.calls if call[1]}:
            of_models = [seen.calls[call] for seen in one.models]
            for place, number in enumerate((one.wire.calls[call], min(of_models), max(of_models))):
                sums[call][place] += number
    return {call: (wire, least, most) for call, (wire, least, most) in sorted(sums.items())}
