"""The table has a row for each kind, with the worst loss and its bound."""

from __future__ import annotations

from trchaosnode.hit import Outcome
from trchaosnode.kinds import Kind, Stage
from trchaosnode.moment import Moment
from trchaosnode.plan import Fault
from trchaosnode.table import table

SEEN = Moment(57, (), 40)
AGENT = Fault(Kind.AGENT_KILLED, Stage.TRAIN, 0.5, 0)
KUBELET = Fault(Kind.KUBELET_KILLED, Stage.TRAIN, 0.5, 7.4)


def test_outcomes_are_summed_up_by_kind() -> None:
    outcomes = [
        Outcome("a", KUBELET, 12.0, moment=SEEN),
        Outcome("a", AGENT, 60.0, "crash (NoVerdict)", 17, 37, SEEN),
        Outcome("b", AGENT, 61.0, "crash (NoVerdict)", 3, 20, SEEN),
    ]
    assert table(outcomes).splitlines() == [
        "| fault | stage | times | steps lost, most | bound then | how the attempt ended |",
        "| --- | --- | --- | --- | --- | --- |",
        "| agent killed | train | 2 | 17 | 37 | crash (NoVerdict) 2 |",
        "| kubelet killed | train | 1 |  |  | it went on 1 |",
        "",
        "3 faults",
    ]


def test_an_outcome_is_one_line() -> None:
    assert str(Outcome("a", KUBELET, 12.0)) == "a: kubelet killed in train for 7 s: went on; 12 s"
    said = str(Outcome("a", AGENT, 60.4, "crash (NoVerdict)", 17, 37, SEEN))
    assert said == "a: agent killed in train: crash (NoVerdict); 17 steps lost, bound 37; 60 s"
