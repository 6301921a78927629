"""What a fault hits, what it cost, and the error of a broken promise."""

from __future__ import annotations

from dataclasses import dataclass

from trchaosnode.moment import Moment
from trchaosnode.plan import Fault
from trdemo.fault_scenario import FaultScenario
from trdemo.installation import Object


class BrokenPromiseError(AssertionError):
    """A run did not survive a fault as it must."""


def require(kept: object, broken: str) -> None:
    """Raise BrokenPromiseError unless a promise was kept."""
    if not kept:
        raise BrokenPromiseError(broken)


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault and the attempt that it hits; `agent` and `worker` are pids of the host (`worker` 0 in prep)."""

    fault: Fault
    scenario: FaultScenario
    attempt: int
    pod: Object
    agent: int
    worker: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fault cost: `lost` steps of at most `bound`; `ended` is how the attempt ended, empty if it went on."""

    run: str
    fault: Fault
    seconds: float
    ended: str = ""
    lost: int = 0
    bound: int = 0
    moment: Moment | None = None

    def __str__(self) -> str:
        ended = f"{self.ended}; {self.lost} steps lost, bound {self.bound}" if self.ended else "went on"
        return f"{self.run}: {self.fault}: {ended}; {self.seconds:.0f} s"
