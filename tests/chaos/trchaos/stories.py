"""Stories: a few faults that meet in one moment of a run, because each of them alone rarely does harm.

What happens at random rarely meets: an answer that is late, and the deletion of what it is about while it is on its
way. A story says which kinds are about the same thing and between which moments; what else they are is drawn.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from trchaos import faults, moments
from trchaos.kind import seconds

if TYPE_CHECKING:
    from trchaos.schedule import RunPlan

Value = Callable[[random.Random], Any]
DELAY_SECONDS: Final = (0.01, 10.0)


def _one_of(*values: Any) -> Value:
    return lambda chance: chance.choice(values)


def _lasting(least: float, most: float) -> Value:
    return lambda chance: seconds(chance, least, most)


@dataclass(frozen=True)
class Act:
    """One of these kinds of faults, soon after one of these moments; `values` are drawn instead of the kind's own."""

    kinds: Sequence[str]
    after: Sequence[str]
    values: Mapping[str, Value] = field(default_factory=dict)
    within: tuple[float, float] = DELAY_SECONDS
    likely: float = 1.0


@dataclass(frozen=True)
class Story:
    """Acts around one attempt of a run, and what its spec needs for that."""

    acts: Sequence[Act]
    spec: Mapping[str, Value] = field(default_factory=dict)


_BEFORE_A_JOB: Final = (moments.RUN_CREATED, moments.POD_ENDED)  # of the attempt before
_CHANGED: Final = ("run suspended", "retry raised", "finish asked", "ttl changed", "several changes")
_ENDED: Final = ("containers ended", "pod disrupted", "child deleted", "pod force deleted")
_ALWAYS: Final = {"share": _one_of(1.0)}


def _calls(methods: list[str], of: str, **values: Value) -> dict[str, Value]:
    """Values of a fault that hits each call of these methods about one kind of objects."""
    return {**_ALWAYS, "methods": _one_of(methods), "of": _one_of(of), **values}


def _late(methods: list[str], of: str, at: Sequence[str], *, when: Sequence[str], kinds: Sequence[str]) -> Story:
    """An answer comes when what it is about is gone, or is different."""
    late = _lasting(1.0, 7.0)  # the operator gives up after eight
    values = _calls(methods, of, takesEffect=_one_of(True), late=late, seconds=_lasting(0.5, 30.0))
    gone = {"of": _one_of("jobs", "jobs", "jobs", "pods", "configmaps"), "again": _one_of(None, None, 1.0, 30.0)}
    return Story((Act(("calls slow",), at, values, within=(0.001, 0.01)), Act(kinds, when, gone, within=(0.01, 3.0))))


def _unstored(at: Sequence[str], *, kinds: Sequence[str], when: Sequence[str]) -> Story:
    """Nothing can be stored while something begins or ends."""
    values = _calls(
        ["PATCH"],
        "trainingruns",
        status=_one_of(0, 409, 409, 500, 503),
        takesEffect=_one_of(False),
        retryAfter=_one_of(0),
        seconds=_lasting(0.3, 200.0),
    )
    refused = ("calls fail", "calls fail", "admission refuses")
    return Story(
        (
            Act(refused, at, values, within=(0.001, 0.1)),
            Act(kinds, when, {"of": _one_of("jobs")}, within=(0.01, 5.0)),
            Act((*_CHANGED, "operator killed", "child deleted"), when, {"of": _one_of("jobs")}, likely=0.4),
        )
    )


def _refused(kinds: Sequence[str], *why: str) -> Story:
    """No Job can be created while an attempt ends."""
    values = {**_ALWAYS, "of": _one_of("jobs"), "why": _one_of(*why), "seconds": _lasting(60.0, 1200.0)}
    return Story(
        (
            Act(kinds, (moments.BEGAN,), values, within=(0.01, 2.0)),
            Act((*_ENDED[1:], "pod disrupted"), (moments.BEGAN,), {"of": _one_of("jobs", "pods")}, within=(2.0, 30.0)),
            Act(("operator killed", *_CHANGED), (moments.POD_ENDED, moments.JOB_ENDED), likely=0.3),
        )
    )


STORIES: Final = (
    _late(
        ["POST"],
        "configmaps",
        (moments.RUN_CREATED,),
        when=(moments.DOCUMENT_CREATED,),
        kinds=("run deleted", "child deleted", *_CHANGED[:2]),
    ),
    _late(
        ["POST"],
        "jobs",
        _BEFORE_A_JOB,
        when=(moments.JOB_CREATED, moments.JOB_CREATED, moments.BEGAN),
        kinds=(*("child deleted",) * 5, "run deleted", "containers ended", "run suspended"),
    ),
    _late(
        ["PATCH"],
        "trainingruns",
        (moments.RUN_CREATED,),
        when=(moments.STATUS_SENT, moments.STATUS_STORED, moments.STATUS_STORED),
        kinds=("run deleted", "run deleted", "run deleted", "child deleted", "run suspended", "retry raised"),
    ),
    _late(
        ["PATCH"],
        "trainingruns",
        (moments.POD_ENDED, moments.BEGAN),
        when=(moments.POD_ENDED, moments.JOB_CREATED),
        kinds=("run deleted", "run deleted", "child deleted", *_ENDED, *_CHANGED),
    ),
    _late(
        ["DELETE"],
        "jobs",
        (moments.BEGAN, moments.POD_ENDED),
        when=(moments.JOB_DELETED,),
        kinds=("run suspended", "retry raised", "finish asked", "run deleted", "child deleted"),
    ),
    _unstored(
        (moments.JOB_SENT,),
        kinds=("child deleted", "child deleted", "containers ended", "pod force deleted"),
        when=(moments.JOB_CREATED, moments.BEGAN),
    ),
    _unstored(
        (moments.BEGAN, moments.POD_ENDED, moments.JOB_ENDED),
        kinds=(*_CHANGED, "child deleted", "containers ended", "operator killed"),
        when=(moments.BEGAN, moments.POD_ENDED, moments.JOB_ENDED),
    ),
    # What a pod needs goes before it starts.
    Story(
        (
            Act(
                ("child deleted",),
                (moments.DOCUMENT_CREATED, moments.JOB_SENT, moments.JOB_CREATED, moments.POD_CREATED),
                {"of": _one_of("configmaps")},
                within=(0.001, 1.0),
            ),
            Act(("operator killed", "document replaced", "status forged"), (moments.JOB_CREATED,), likely=0.3),
        )
    ),
    # The operator is upgraded, and cannot make again what the one before has accepted.
    Story(
        (
            Act(("operator of another version",), (moments.STATUS_STORED, moments.BEGAN), within=(0.01, 20.0)),
            Act(
                ("child deleted",),
                (moments.POD_CREATED, moments.BEGAN),
                {"of": _one_of("configmaps")},
                within=(0.1, 30.0),
                likely=0.7,
            ),
            Act(("retry raised", "operator killed", *_ENDED), (moments.BEGAN,), within=(1.0, 300.0), likely=0.5),
        )
    ),
    # The prepared data set is deleted while an attempt reads it, or before the next one does.
    Story(
        (
            Act(("data set lost",), (moments.BEGAN,), {"times": _one_of(1, 2, 4)}, within=(0.1, 20.0)),
            Act(("containers ended",), (moments.BEGAN,), within=(5.0, 60.0), likely=0.7),
            Act(("operator killed", *_CHANGED), (moments.POD_ENDED, moments.JOB_CREATED), likely=0.3),
        )
    ),
    # An attempt ends while no other can begin: nobody may create a Job, or what is created is called wrong.
    _refused((*("admission refuses",) * 3, "quota full"), "policy"),
    _refused(("admission refuses",), "denied", "found invalid", "field", "webhook down"),
    # A pod is over, and its Job does not say so yet.
    Story(
        (
            Act(("Job controller late",), (moments.POD_ENDED,), within=(0.001, 0.01)),
            Act((*_ENDED, "pod evicted", "node lost"), (moments.BEGAN,), within=(5.0, 90.0)),
            Act(
                ("watches with a gap",),
                (moments.POD_CREATED, moments.BEGAN),
                {"of": _one_of("pods"), "seconds": _lasting(20.0, 300.0)},
                within=(0.01, 0.1),
                likely=0.6,
            ),
        ),
        spec={"startDeadlineSeconds": _one_of(10, 10, 20, 30)},
    ),
    # A pod that has long worked is removed by force, and its Job does not say so yet.
    Story(
        (
            Act(("Job controller late",), (moments.BEGAN,), {"seconds": _one_of(12.0)}, within=(30.0, 31.0)),
            Act(("pod force deleted",), (moments.BEGAN,), within=(31.0, 36.0)),
        ),
        spec={"startDeadlineSeconds": _one_of(10, 20, 30)},
    ),
    # An operator cannot renew its Lease, and another one takes over.
    Story(
        (
            Act(
                ("operator cut off", "operator frozen"),
                (moments.RUN_CREATED, moments.BEGAN),
                {"of": _one_of("operator"), "seconds": _lasting(40.0, 200.0)},
            ),
            Act(
                ("second operator",),
                (moments.RUN_CREATED, moments.BEGAN),
                {"namespaces": _one_of([]), "seconds": _lasting(300.0, 900.0)},
                within=(1.0, 30.0),
            ),
            Act(
                (*_ENDED, "child deleted", "run suspended", "run deleted", "run deleted"),
                (moments.BEGAN,),
                {"again": _one_of(1.0, 5.0)},
                within=(1.0, 300.0),
                likely=0.7,
            ),
        )
    ),
    # A run is retried when it is about to be deleted, and the operator does not see it.
    Story(
        (
            Act(
                ("containers ended",),
                (moments.BEGAN,),
                {"outcome": _one_of("userError")},
                within=(1.0, 10.0),
            ),
            Act(("watches silent",), (moments.POD_ENDED,), {"of": _one_of("trainingruns")}, within=(0.001, 0.5)),
            Act(("retry raised",), (moments.POD_ENDED,), within=(0.5, 15.0)),
        ),
        spec={"ttlSecondsAfterFinished": _one_of(2, 10)},
    ),
    # A Job was created, which the operator does not see, and then the server calls it invalid.
    Story(
        (
            Act(
                ("calls fail",),
                _BEFORE_A_JOB,
                _calls(
                    ["POST"],
                    "jobs",
                    takesEffect=_one_of(True),
                    status=_one_of(0, 500, 504),
                    seconds=_lasting(0.1, 0.5),
                ),
                within=(0.001, 0.01),
            ),
            Act(
                ("watches silent",),
                _BEFORE_A_JOB,
                {"of": _one_of("jobs"), "seconds": _lasting(10.0, 60.0)},
                within=(0.001, 0.01),
            ),
            Act(
                ("watches silent",),
                _BEFORE_A_JOB,
                {"of": _one_of("pods"), "seconds": _lasting(10.0, 60.0)},
                within=(0.001, 0.01),
            ),
            Act(
                ("admission refuses",),
                (moments.JOB_CREATED,),
                {**_ALWAYS, "of": _one_of("jobs"), "why": _one_of("own field")},
                within=(0.01, 0.5),
            ),
        )
    ),
    # What a run has is deleted while no watch is connected.
    Story(
        (
            Act(
                ("watches with a gap",),
                (moments.JOB_CREATED, moments.BEGAN),
                {"of": _one_of("", "", "jobs"), "seconds": _lasting(5.0, 100.0)},
                within=(0.01, 5.0),
            ),
            Act(
                ("child deleted", "child deleted", "pod force deleted"),
                (moments.BEGAN,),
                {"of": _one_of("jobs", "pods")},
                within=(1.0, 10.0),
            ),
        )
    ),
    # Somebody forges what a run is to be accepted with.
    Story(
        (
            Act(
                ("document forged",),
                (moments.STATUS_STORED, moments.BEGAN),
                {"again": _lasting(1.0, 10.0), "seconds": _lasting(60.0, 300.0)},
            ),
            Act(("operator killed", "child deleted"), (moments.BEGAN,), within=(1.0, 60.0), likely=0.3),
        )
    ),
    # What a run was accepted with is replaced before its next attempt.
    Story(
        (
            Act(("document replaced",), (moments.STATUS_STORED, moments.BEGAN), within=(0.01, 5.0)),
            Act((*_ENDED, "run suspended"), (moments.BEGAN,), {"of": _one_of("jobs")}, within=(1.0, 30.0)),
            Act(("operator killed",), (moments.BEGAN,), within=(1.0, 30.0), likely=0.3),
        )
    ),
    # A run is suspended, or changed otherwise, while its next attempt waits for its time.
    Story(
        (
            Act(
                ("containers ended",),
                (moments.BEGAN,),
                {"outcome": _one_of("crash", "storageOutage", "killed")},
                within=(0.5, 20.0),
            ),
            Act(
                (*("run suspended",) * 5, "operator killed", "retry raised", "finish asked"),
                (moments.POD_ENDED,),
                {"seconds": _one_of(None, 60.0, 120.0)},
                within=(0.1, 6.0),
            ),
        )
    ),
    # Something else suspends Jobs and lets them go on.
    Story(
        (
            Act(
                ("queue of Jobs",),
                (moments.RUN_CREATED, moments.BEGAN),
                {"preempts": _one_of(0.4, 0.8), "seconds": _lasting(60.0, 1200.0)},
            ),
            Act((*_ENDED, "pod stuck", "operator killed", "Job controller late"), (moments.BEGAN,), within=(1.0, 60.0)),
        ),
        spec={"startDeadlineSeconds": _one_of(10, 20, 30, 300)},
    ),
    # A Job that something else holds has to go, and stays.
    Story(
        (
            Act(
                ("queue of Jobs",),
                (moments.RUN_CREATED,),
                {"preempts": _one_of(0.4, 0.8), "seconds": _lasting(300.0, 1200.0)},
                within=(0.001, 0.01),
            ),
            Act(
                ("calls fail",),
                (moments.JOB_CREATED,),
                _calls(
                    ["DELETE"],
                    "jobs",
                    status=_one_of(500, 503),
                    takesEffect=_one_of(False),
                    seconds=_lasting(60.0, 300.0),
                ),
                within=(0.01, 1.0),
            ),
            Act(("run suspended",), (moments.JOB_CREATED,), {"seconds": _lasting(2.0, 20.0)}, within=(1.0, 20.0)),
        )
    ),
    # What an agent reports comes by other ways, or from another process.
    Story(
        (
            Act(("agents out of reach",), (moments.BEGAN,), within=(5.0, 120.0)),
            Act((*_ENDED, "operator killed", "second operator"), (moments.BEGAN,), within=(10.0, 200.0), likely=0.5),
        )
    ),
)


def tell(
    story: Story, chance: random.Random, plan: RunPlan
) -> Iterator[tuple[float, str, dict[str, Any], moments.Moment]]:
    """Draw the faults of a story around one attempt of a run: delay, kind, values, moment."""
    number = chance.choice((1, 1, 2, 2, 3))
    for act in story.acts:
        if chance.random() >= act.likely:
            continue
        kind, what = chance.choice(act.kinds), chance.choice(act.after)
        drawn = {name: value(chance) for name, value in act.values.items()}
        own = faults.KINDS[kind].draw(chance, (plan,))
        mine = {"run": f"{plan.namespace}/{plan.name}"}
        values = {**own, **{name: value for name, value in (mine | drawn).items() if name in own}}
        yield seconds(chance, *act.within), kind, values, _moment(what, plan, number, before=act.after is _BEFORE_A_JOB)


def _moment(what: str, plan: RunPlan, number: int, *, before: bool) -> moments.Moment:
    """The moment of an attempt; `before`: that which leads to it."""
    if before:
        what, number = (moments.RUN_CREATED, 1) if number == 1 else (moments.POD_ENDED, number - 1)
    elif what in (moments.RUN_CREATED, moments.DOCUMENT_CREATED):
        number = 1
    return moments.Moment(what, f"{plan.namespace}/{plan.name}", number)
